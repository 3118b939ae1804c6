"""A rule: when something goes wrong, and what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Literal

from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.factory import DIALOGUES
from mailpost.wire.dialogue import Command

TLS = "TLS"
"""What a rule about certificates counts in place of commands: handshakes."""
BadCertificate = Literal["expired", "not yet valid", "wrong name", "untrusted"]


class FaultError(ValueError):
    """A rule that makes no sense; the text says why, and which key it is about."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. The first fields say when, the others what: one of these, but for those that go together."""

    protocol: str = ""
    """imap, pop3, smtp, submission or lmtp; all of them if empty."""
    command: str = ""
    """Such as FETCH (UID FETCH as well), UID FETCH, RETR, DATA, or GREETING for the server's first words; any, those
    too, if empty."""
    nth: int = 0
    """The so-maniest of these commands alone, from 1, counted over all connections."""
    every: int = 0
    """Each so-maniest of them."""
    since: int = 0
    """The so-maniest of them, and all that follow."""
    connection: int = 0
    """On one connection alone, by its number, from 1, among those of its protocol."""
    user: str = ""
    """On connections of this user alone, once logged in."""
    where: Callable[[Conversation, Command], bool] | None = None
    """For commands alone of which this is true."""

    answer: str | None = None
    """The server answers so instead of running the command: `NO [OVERQUOTA] Full`, `-ERR No`, `421 4.3.0 Later`.
    Behind BYE and 421 it closes the connection."""
    result: str | None = None
    """The server runs the command, and then says so in place of its last line."""
    insert: str | None = None
    """The server says this, too, before it answers: `* 23 EXISTS`."""
    drop_after: int | None = None
    """Octets of the answer, behind which the connection is closed; 0: at once, and the command is not run."""
    stall_after: int | None = None
    """Octets of the answer, behind which nothing comes any more, and the connection stays open."""
    unfinished_literal: bool = False
    """Of the first literal in the answer (of POP3's, the lines) one half comes, and then nothing any more."""
    never_answer: bool = False
    """The command is not run, and not answered; or the greeting is not sent."""
    bye_after: float | None = None
    """Seconds after the command, at which the server says BYE, or 421, and closes the connection; 0: it is not run."""
    uidvalidity: int | None = None
    """The UIDVALIDITY that is told, by whatever command."""
    duplicate_uids: bool = False
    """The second message that is told of has the UID of the first."""
    expunge: int | None = None
    """A message number, of which EXPUNGE is told between the first FETCH response of an answer and the next, which
    are numbered as if it had gone."""
    delay: float | None = None
    """Seconds that all which is answered is under way; may go with `bandwidth`."""
    bandwidth: int | None = None
    """Bits a second, in each direction."""
    mask: tuple[str, ...] = field(default=())
    """Capabilities that are not announced: `IDLE`, `AUTH=PLAIN`, `AUTH` for all of these. They work all the same."""
    certificate: BadCertificate | None = None
    """What is wrong with the certificate that TLS connections get."""
    chaos: int | None = None
    """Something goes wrong, decided by this seed: the same for the same dialogue."""
    chance: float = 0.1
    """How often, of 1, with `chaos`."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense. Raises FaultError."""
        given = [
            each.name for each in fields(self) if each.name in ACTIONS and getattr(self, each.name) != each.default
        ]
        if not given:
            raise FaultError(f"says not what goes wrong: {', '.join(ACTIONS)}")
        if len(given) > 1 and given != ["delay", "bandwidth"]:
            raise FaultError(f"{' and '.join(given)} do not go together: make two of it")
        if self.protocol and self.protocol not in DIALOGUES:
            raise FaultError(f"protocol: must be one of {', '.join(DIALOGUES)}")
        counted = [name for name in ("nth", "every", "since") if getattr(self, name)]
        if len(counted) > 1:
            raise FaultError(f"{' and '.join(counted)} do not go together")
        for name in (*counted, "connection", "drop_after", "stall_after", "bye_after", "delay"):
            if (getattr(self, name) or 0) < 0:
                raise FaultError(f"{name}: must not be below 0")
        for name in ("bandwidth", "expunge", "uidvalidity"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise FaultError(f"{name}: must be above 0")
        if not 0 <= self.chance <= 1:
            raise FaultError("chance: must be from 0 to 1")

    @property
    def action(self) -> str:
        """The name of the field that says what goes wrong, the first of them."""
        return next(name for name in self._given() if name in ACTIONS)

    def __str__(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._given())

    def matches(self, conversation: Conversation, command: Command) -> bool:
        """Whether the rule counts this command."""
        return (
            (not self.protocol or self.protocol == conversation.protocol)
            and (not self.connection or self.connection == conversation.number)
            and (not self.user or self.user == conversation.user)
            and self._is_about(command.verb)
            and (self.where is None or self.where(conversation, command))
        )

    def is_due(self, count: int) -> bool:
        """Whether it is the turn of the so-maniest command that it counts, from 1."""
        if self.nth:
            return count == self.nth
        return count >= self.since and not (self.every and count % self.every)

    def _is_about(self, verb: str) -> bool:
        if self.certificate is not None or verb == TLS:
            return self.certificate is not None and verb == TLS
        wanted = self.command.upper()
        return not wanted or verb in {wanted, f"UID {wanted}"}

    def _given(self) -> list[str]:
        return [each.name for each in fields(self) if getattr(self, each.name) != each.default]


ACTIONS = tuple(each.name for each in fields(Fault)[8:] if each.name != "chance")
"""The fields that say what goes wrong."""
