"""The commands that all protocols of the family have.

RFC: 5321 §4.1.1, 3030 §2 (BDAT), 2033 §4.2 (an answer for each recipient)
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from mailpost.mail.errors import ErrorKind, MailError, message_too_big
from mailpost.protocols.smtp.dialect import Rule, State
from mailpost.protocols.smtp.incoming import IncomingMessage
from mailpost.protocols.smtp.session import Session
from mailpost.storage.offload import settled
from mailpost.wire.smtp import commands as wire
from mailpost.wire.smtp import replies
from mailpost.wire.smtp.data import DataDecoder, has_bare
from mailpost.wire.smtp.errors import CommandError
from mailpost.wire.smtp.replies import Reply

PIECE = 64 << 10
"""Octets of a chunk that are taken at a time."""


async def hello(session: Session, command: wire.Hello) -> None:
    """HELO, EHLO, LHLO. RFC: 5321 §4.1.1.1, 2033 §4.1"""
    dialect = session.dialect
    if command.verb not in dialect.hellos:
        raise CommandError(500, "5.5.1", f"This is {dialect.name}: say {dialect.hellos[0]}")
    session.reset()
    session.state = State.READY
    session.hello = command
    lines = [session.settings.hostname]
    if command.verb != "HELO":
        lines += dialect.keywords(session)
    session.reply(Reply(250, "", "\n".join(lines)))


async def mail(session: Session, command: wire.Mail) -> None:
    """MAIL: a message begins. RFC: 5321 §4.1.1.2, 1870 §6.1"""
    sender, most = command.sender, session.settings.message_size
    if sender.size is not None and sender.size > most:
        raise message_too_big(most)
    transaction = await settled(session.connection.receiver.begin(session.client_of(sender), sender))
    session.message = IncomingMessage(transaction, most, session.reply_to)
    session.state = State.SENDER
    session.reply(replies.SENDER_OK)


async def rcpt(session: Session, command: wire.Rcpt) -> None:
    """RCPT: one more recipient. RFC: 5321 §4.1.1.3"""
    message, most = _message(session), session.settings.recipients
    if len(message.transaction.recipients) >= most:
        raise MailError(ErrorKind.TOO_MANY_RECIPIENTS, f"A message may have {most} recipients; send it again to others")
    await settled(message.transaction.add_recipient(command.recipient))
    session.state = State.RECIPIENTS
    session.reply(replies.RECIPIENT_OK)


async def data(session: Session, _: wire.Data) -> None:
    """DATA: the message, up to a line with a dot. RFC: 5321 §4.1.1.4"""
    message, decoder = _message(session), DataDecoder()

    def take(piece: bytes) -> int | Awaitable[int | None] | None:
        session.connection.restart_idle_time()
        octets, used = decoder.feed(piece)
        if decoder.bare:
            message.fail(replies.BARE_LINE_END)
        waiting = message.write(octets)
        return used if waiting is None else _after(waiting, used)

    session.reply(replies.START_MESSAGE)
    await session.queue.consume(take)
    await _take(session, message)


async def bdat(session: Session, command: wire.Bdat) -> None:
    """BDAT: a chunk of the message, which is read even when nothing can be done with it. RFC: 3030 §2"""
    message = session.message if session.state in (State.RECIPIENTS, State.CHUNKS) else None
    left = command.size
    while left:
        octets = await session.queue.octets(min(left, PIECE))
        left -= len(octets)
        session.connection.restart_idle_time()
        if message is not None:
            await settled(_chunk(message, octets))
    if message is None:
        raise session.dialect.misplaced(session.state)
    session.state = State.CHUNKS
    if not command.last:
        session.reply(message.failure or Reply(250, "2.0.0", f"{command.size} octets taken"))
        return
    if message.split_end:
        message.fail(replies.BARE_LINE_END)
    await _take(session, message)


def _chunk(message: IncomingMessage, octets: bytes) -> Awaitable[None] | None:
    bare, message.split_end = has_bare(octets, message.split_end)
    if bare:
        message.fail(replies.BARE_LINE_END)
    return message.write(octets)


async def _after(waiting: Awaitable[None], used: int | None) -> int | None:
    await waiting
    return used


async def _take(session: Session, message: IncomingMessage) -> None:
    """The message is there: take it and answer. RFC: 2033 §4.2, 5321 §4.2.5"""
    accepted = [each.address for each in message.transaction.recipients]
    session.message = None  # not to be given up any more, should the client leave now
    answers = await message.commit(session.connection.commits)
    session.reset()
    if session.dialect.reply_to_each:
        named = zip(accepted, answers, strict=True)
        session.reply(*(answer.prefixed(f"<{address}>") for address, answer in named))
    else:
        # One answer for all: a message that is sent once more is better than one that somebody never gets.
        session.reply(next((answer for answer in answers if not answer.positive), answers[0]))


def _message(session: Session) -> IncomingMessage:
    assert session.message is not None, "the rules let this command run only within a message"
    return session.message


async def rset(session: Session, _: wire.Rset) -> None:
    """RSET. RFC: 5321 §4.1.1.5"""
    session.reset()
    session.reply(replies.OK)


async def noop(session: Session, _: wire.Noop) -> None:
    """NOOP. RFC: 5321 §4.1.1.9"""
    session.reply(replies.OK)


async def vrfy(session: Session, _: wire.Vrfy) -> None:
    """VRFY: who guesses names learns nothing. RFC: 5321 §3.5.3, §7.3"""
    session.reply(replies.CANNOT_VERIFY)


async def help_(session: Session, _: wire.Help) -> None:
    """HELP. RFC: 5321 §4.1.1.8"""
    names = sorted(each.__name__.upper() for each in session.dialect.rules if each is not wire.Hello)
    session.reply(Reply(214, "2.0.0", f"Commands: {' '.join([*session.dialect.hellos, *names])}"))


async def quit_(session: Session, _: wire.Quit) -> None:
    """QUIT. RFC: 5321 §4.1.1.10"""
    session.close(replies.GOODBYE, "quit")


_MESSAGE = frozenset({State.SENDER, State.RECIPIENTS})
COMMON: Mapping[type[Any], Rule] = {
    wire.Hello: Rule(hello),
    wire.Mail: Rule(mail, frozenset({State.READY})),
    wire.Rcpt: Rule(rcpt, _MESSAGE),
    wire.Data: Rule(data, frozenset({State.RECIPIENTS})),
    wire.Bdat: Rule(bdat),
    wire.Rset: Rule(rset),
    wire.Noop: Rule(noop),
    wire.Vrfy: Rule(vrfy),
    wire.Help: Rule(help_),
    wire.Quit: Rule(quit_),
}
BASE_KEYWORDS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING")
"""RFC: 2920 §3, 6152 §2, 6531 §3.1, 2034 §3, 3030 §2"""


def base_keywords(session: Session) -> list[str]:
    """What all protocols of the family announce. RFC: 1870 §4"""
    return [f"SIZE {session.settings.message_size}", *BASE_KEYWORDS]


BASE_EXTENSIONS = frozenset({"SIZE", "8BITMIME", "SMTPUTF8"})
"""Those with parameters."""
