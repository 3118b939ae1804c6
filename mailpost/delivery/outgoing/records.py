"""Values of the outgoing queue: a queued message's envelope, and what became of it for each recipient.

An envelope is kept as JSON, so that a person can read it where it lies.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mailpost.mail.transport import BodyKind, ForwardPath, Notify, Returned, ReversePath

FORMAT = 1


class Verdict(Enum):
    """What an attempt came to, for one recipient."""

    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to, for one recipient, and why."""

    verdict: Verdict
    status: str
    """The enhanced status code. RFC: 3463"""
    text: str
    """For a person; the reply of the smarthost, where `host` is given."""
    host: str = ""
    """Who said so; "" for this server."""
    told: bool = False
    """The smarthost took over what the sender wants to be told (it knows DSN). RFC: 3461 §5.2.2"""


@dataclass(frozen=True, slots=True)
class Queued:
    """A recipient to whom the message has not been brought."""

    path: ForwardPath
    last: Outcome | None = None
    """What the last attempt came to; REFUSED when no other will be made, and the sender is to be told yet."""

    @property
    def waiting(self) -> bool:
        """Whether it is to be tried again."""
        return self.last is None or self.last.verdict is not Verdict.REFUSED


@dataclass(frozen=True, slots=True)
class Envelope:
    """All that is known of a queued message beside its octets."""

    name: str
    user: str
    """Who has logged in and sent it; "" for mail that an alias sends on."""
    arrived: float
    """Seconds since the epoch."""
    sender: ReversePath
    size: int
    """Octets of the message."""
    eight_bit: bool
    """There are others than ASCII in it."""
    utf8_header: bool
    """There are some in its header."""
    recipients: Sequence[Queued]
    attempts: int = 0
    attempted: float | None = None
    """When it was last tried."""
    warned: bool = False
    """The sender knows that it is late."""

    def to_json(self) -> bytes:
        """As it is kept."""
        return json.dumps(
            {
                "format": FORMAT,
                "user": self.user,
                "arrived": self.arrived,
                "sender": _sender_out(self.sender),
                "size": self.size,
                "eight_bit": self.eight_bit,
                "utf8_header": self.utf8_header,
                "recipients": [_queued_out(each) for each in self.recipients],
                "attempts": self.attempts,
                "attempted": self.attempted,
                "warned": self.warned,
            },
            indent=1,
        ).encode()


class CorruptError(Exception):
    """What is kept is no envelope."""


def from_json(name: str, octets: bytes) -> Envelope:
    """Read what `Envelope.to_json` wrote. Raises CorruptError."""
    try:
        kept: dict[str, Any] = json.loads(octets)
        if kept["format"] != FORMAT:
            raise CorruptError(f"format {kept['format']!r} is not known")
        return Envelope(
            name=name,
            user=_typed(kept["user"], str),
            arrived=_typed(kept["arrived"], (int, float)),
            sender=_sender_in(kept["sender"]),
            size=_typed(kept["size"], int),
            eight_bit=_typed(kept["eight_bit"], bool),
            utf8_header=_typed(kept["utf8_header"], bool),
            recipients=tuple(_queued_in(each) for each in kept["recipients"]),
            attempts=_typed(kept["attempts"], int),
            attempted=None if kept["attempted"] is None else _typed(kept["attempted"], (int, float)),
            warned=_typed(kept["warned"], bool),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise CorruptError(f"it cannot be read: {problem!r}") from problem


def _typed(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is of the wrong type")
    return value


def _sender_out(sender: ReversePath) -> dict[str, object]:
    return {
        "address": sender.address,
        "body": sender.body.value,
        "smtputf8": sender.smtputf8,
        "returned": sender.returned.value if sender.returned else None,
        "envelope_id": sender.envelope_id,
    }


def _sender_in(kept: dict[str, Any]) -> ReversePath:
    returned, envelope_id = kept["returned"], kept["envelope_id"]
    return ReversePath(
        address=_typed(kept["address"], str),
        body=BodyKind(kept["body"]),
        smtputf8=_typed(kept["smtputf8"], bool),
        returned=None if returned is None else Returned(returned),
        envelope_id=None if envelope_id is None else _typed(envelope_id, str),
    )


def _queued_out(queued: Queued) -> dict[str, object]:
    path, last = queued.path, queued.last
    return {
        "address": path.address,
        "notify": None if path.notify is None else sorted(each.value for each in path.notify),
        "original": path.original,
        "last": last and {"verdict": last.verdict.value, "status": last.status, "text": last.text, "host": last.host},
    }


def _queued_in(kept: dict[str, Any]) -> Queued:
    notify, original, last = kept["notify"], kept["original"], kept["last"]
    path = ForwardPath(
        _typed(kept["address"], str),
        None if notify is None else frozenset(map(Notify, notify)),
        None if original is None else _typed(original, str),
    )
    if last is None:
        return Queued(path)
    texts = [_typed(last[each], str) for each in ("status", "text", "host")]
    return Queued(path, Outcome(Verdict(last["verdict"]), *texts))
