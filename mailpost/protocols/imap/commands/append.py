"""APPEND: messages stream into spools as they arrive, then go into the folder all together.

The loop over messages is what MULTIAPPEND needs; it is not announced.

RFC: 3501 §6.3.11, 9051 §6.3.12, 4315 §3 (APPENDUID), 7889 (APPENDLIMIT)
"""

from __future__ import annotations

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import known_name
from mailpost.protocols.imap.commands.context import Completed, Context, LiteralSink, into_folder
from mailpost.storage.offload import settled
from mailpost.storage.records import NewMessage, QuotaLimit
from mailpost.wire.imap.commands import Append
from mailpost.wire.imap.responses import appenduid


async def offered(context: Context, command: Append, size: int) -> LiteralSink:
    """A spool for a message that the client is about to send, if it could be filed; else a refusal before it comes."""
    if size > context.settings.message_size:
        raise MailError(ErrorKind.MESSAGE_TOO_BIG, f"A message may have {context.settings.message_size} octets at most")
    if not size:
        raise MailError(ErrorKind.CANNOT, "An empty message cannot be saved")
    account = context.account
    name = known_name(command.mailbox, account.separator)
    if not any(folder.name == name for folder in account.folders() if folder.selectable):
        raise MailError(ErrorKind.NO_TARGET, "There is no such mailbox")
    limit: QuotaLimit = account.quota_limit
    if limit and not limit.allows(await settled(account.usage()), size):
        raise MailError(ErrorKind.OVER_QUOTA, "The account is full: this would exceed its quota")
    spool: LiteralSink = account.spool(size)
    return spool


async def append(context: Context, command: Append) -> Completed:
    """File the messages, all or none. A session that has the folder selected hears of them as everybody does."""
    messages = [
        NewMessage(spool, message.flags, message.internaldate)
        for spool, message in zip(context.streamed, command.messages, strict=True)
    ]
    with into_folder():
        appended = await settled(context.account.append(command.mailbox, messages, origin=context.selected))
    context.streamed.clear()
    # An adapted mailbox does not know the UIDs.
    return Completed(code=appenduid(appended) if appended.uids else b"")
