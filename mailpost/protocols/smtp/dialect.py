"""Which commands a protocol of the family has, when each is possible, and what is announced: all of it data.

RFC: 5321 §4.1.4 (order of commands)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mailpost.wire.smtp.errors import CommandError

Handler = Callable[[Any, Any], Awaitable[None]]
"""Runs a command in a `session.Session`: writes the reply, or raises CommandError or MailError."""


class State(Enum):
    """How far a session has come."""

    CONNECTED = "connected"
    """The client has not said who it is."""
    READY = "ready"
    SENDER = "sender"
    """MAIL was accepted, and no recipient yet."""
    RECIPIENTS = "recipients"
    CHUNKS = "chunks"
    """A part of the message is there."""


ANY = frozenset(State)
_MISPLACED = {
    State.READY: "MAIL comes first",
    State.SENDER: "There is no valid recipient",
    State.RECIPIENTS: "A message is under way; RSET gives it up",
    State.CHUNKS: "A message is under way in chunks; BDAT goes on with it, RSET gives it up",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One command of a dialect."""

    handler: Handler
    states: frozenset[State] = ANY
    """Where it is possible."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A protocol of the family."""

    name: str
    """As Received fields name it: "LMTP", "ESMTP". RFC: 3848"""
    hellos: Sequence[str]
    """How a client begins; the usual word first."""
    rules: Mapping[type[Any], Rule]
    extensions: frozenset[str]
    """Those whose parameters MAIL and RCPT may have."""
    keywords: Callable[[Any], Sequence[str]]
    """What a session is told of in the answer to the client's hello."""
    reply_to_each: bool = False
    """A message is answered once for each recipient. RFC: 2033 §4.2"""

    def rule(self, command: object, state: State) -> Rule:
        """The rule of a command that is possible now.

        Raises:
            CommandError: it is not.
        """
        rule = self.rules.get(type(command))
        if rule is None:
            raise CommandError(502, "5.5.1", f"{type(command).__name__.upper()} is not possible here")
        if state in rule.states:
            return rule
        if state is State.SENDER and State.READY in rule.states:
            state = State.RECIPIENTS
        raise self.misplaced(state)

    def misplaced(self, state: State) -> CommandError:
        """What a client is told whose command comes at the wrong time."""
        text = f"Say {self.hellos[0]} first" if state is State.CONNECTED else _MISPLACED[state]
        return CommandError(503, "5.5.1", text)
