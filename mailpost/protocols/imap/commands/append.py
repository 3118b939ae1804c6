"""APPEND and REPLACE: messages stream into spools as they arrive, then go into the folder all together.

RFC: 3501 §6.3.11, 9051 §6.3.12, 4315 §3 (APPENDUID), 3502 (MULTIAPPEND), 4469 (CATENATE), 6855 §4 (UTF8),
7889 (APPENDLIMIT), 8508 §3 (REPLACE)
"""

from __future__ import annotations

from collections import deque
from typing import Any

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import known_name
from mailpost.protocols.imap.commands.assembling import Assembly, TextSink
from mailpost.protocols.imap.commands.context import Completed, Context, LiteralSink, into_folder
from mailpost.storage.offload import settled
from mailpost.storage.records import NO_LIMIT, NewMessage, QuotaLimit
from mailpost.wire.imap.commands import Append, AppendMessage, ParseError, Replace, TextPart
from mailpost.wire.imap.responses import appenduid


async def offered(context: Context, command: Append | Replace, size: int) -> LiteralSink:
    """Where octets that the client is about to send go, if they could be filed; else a refusal before they come."""
    settings, account = context.settings, context.account
    message = command.messages[-1]
    if message.utf8 and "UTF8=ACCEPT" not in context.enabled and "IMAP4REV2" not in context.enabled:
        raise ParseError("UTF8=ACCEPT has not been enabled")
    beside = sum(sink.size for sink in context.streamed)
    if beside + size > settings.message_size:
        raise MailError(ErrorKind.MESSAGE_TOO_BIG, f"{settings.message_size} octets at most may be appended at a time")
    if not size and message.parts is None:
        raise MailError(ErrorKind.CANNOT, "An empty message cannot be saved")
    _require_folder(context, command.mailbox)
    limit: QuotaLimit = account.quota_limit if isinstance(command, Append) else NO_LIMIT
    if limit and not limit.allows(await settled(account.usage()), beside + size, len(command.messages)):
        raise MailError(ErrorKind.OVER_QUOTA, "The account is full: this would exceed its quota")
    if message.parts is None:
        spool: LiteralSink = account.spool(size, beside)
        return spool
    assembly = _assembly(context, message) or Assembly(account.spool(size, beside), settings.message_size)
    try:
        await assembly.advance(context, message.parts)
        assembly.require(size)
    except BaseException:  # cancelled too: raised again, with nothing left behind
        assembly.spool.abort()
        raise
    return TextSink(assembly)


def _require_folder(context: Context, mailbox: str) -> None:
    name = known_name(mailbox, context.account.separator)
    if not any(folder.name == name for folder in context.account.folders() if folder.selectable):
        raise MailError(ErrorKind.NO_TARGET, "There is no such mailbox")


def _assembly(context: Context, message: AppendMessage) -> Assembly | None:
    """What earlier literals of this message have gone into; None before its first."""
    texts = sum(isinstance(part, TextPart) for part in message.parts or ())
    last = context.streamed[-1] if texts > 1 and context.streamed else None
    return last.assembly if isinstance(last, TextSink) else None


async def append(context: Context, command: Append) -> Completed:
    """File the messages, all or none. A session that has the folder selected hears of them as everybody does."""
    messages = await _messages(context, command)
    with into_folder():
        appended = await settled(context.account.append(command.mailbox, messages, origin=context.selected))
    context.streamed.clear()
    # An adapted mailbox does not know the UIDs.
    return Completed(code=appenduid(appended) if appended.uids else b"")


async def replace(context: Context, command: Replace) -> Completed:
    """File the message and remove another of the selected mailbox, in one step. RFC: 8508 §3.4"""
    selected = context.selected
    assert selected is not None
    if selected.read_only:
        raise MailError(ErrorKind.READ_ONLY, "The mailbox is open read-only")
    if "REPLACE" in getattr(context.account, "lacks", ()):
        raise MailError(ErrorKind.CANNOT, "Nothing can be replaced here")
    uids, _ = selected.named(command.numbers, command.uid)
    if not uids:
        raise MailError(ErrorKind.EXPUNGED, "The message that was to be replaced no longer exists")
    messages = await _messages(context, command)
    with into_folder():
        appended = await settled(
            context.account.append(command.mailbox, messages, origin=selected, replaced=(selected.mailbox, uids[0]))
        )
    context.streamed.clear()
    context.write(b"* OK [%b] The replacement is there\r\n" % appenduid(appended))
    return Completed(code=selected.latest())


async def _messages(context: Context, command: Append | Replace) -> list[NewMessage]:
    """The messages with what has come of them; what URLs name behind the last literal is fetched here."""
    sinks = deque(context.streamed)
    messages = []
    for each in command.messages:
        if each.open:
            raise ParseError("Expected a closing parenthesis")
        spool = sinks.popleft() if each.parts is None else await _assembled(context, each, sinks)
        messages.append(NewMessage(spool, each.flags, each.internaldate))
    return messages


async def _assembled(context: Context, message: AppendMessage, sinks: deque[Any]) -> Any:
    """The spool of a message that is put together from parts."""
    parts = message.parts or ()
    texts = [sinks.popleft() for part in parts if isinstance(part, TextPart)]
    if texts:
        assembly: Assembly = texts[0].assembly
    else:
        spool = context.account.spool(0, sum(sink.size for sink in context.streamed))
        assembly = Assembly(spool, context.settings.message_size)
        context.streamed.append(TextSink(assembly))
    await assembly.advance(context, parts)
    if not assembly.spool.size:
        raise MailError(ErrorKind.CANNOT, "An empty message cannot be saved")
    return assembly.spool
