"""Asking the filters what is to become of a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from secrets import token_hex

from twisted.logger import Logger

from mailpost.delivery.interfaces import IDeliveryFilter
from mailpost.delivery.records import Arrival, FileInto, Redirect, Verdict
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import NO_FLAGS, Flags
from mailpost.storage.offload import settled

_log = Logger()


@dataclass(slots=True)
class Plan:
    """What all filters together want."""

    copies: list[FileInto] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)
    keep: bool = True
    flags: Flags = NO_FLAGS
    """For the copy that is kept."""


async def ask(filters: Sequence[IDeliveryFilter], arrival: Arrival) -> Plan:
    """Ask one filter after the other, until one does not keep the message.

    Raises:
        MailError: MESSAGE_REFUSED with a filter's text; or what a filter raises, who cannot decide now.
    """
    plan = Plan()
    for each in filters:
        verdict = await _verdict(each, arrival)
        if verdict.refusal is not None:
            raise MailError(ErrorKind.MESSAGE_REFUSED, verdict.refusal or "The message was refused")
        plan.copies += verdict.copies
        plan.redirects += verdict.redirects
        plan.flags |= verdict.flags
        if not verdict.keep:
            plan.keep = False
            break
    return plan


async def _verdict(each: IDeliveryFilter, arrival: Arrival) -> Verdict:
    try:
        verdict = await settled(each.decide(arrival))
        if not isinstance(verdict, Verdict):
            raise TypeError(f"a filter must decide by a Verdict, not {verdict!r}")
    except MailError:
        raise
    except Exception:  # a bug of the filter keeps nobody's mail from arriving. RFC: 5228 §2.10.6
        _log.failure(
            "Bug {incident} in the filter {filter}: the message for {user} is filed without it",
            incident=token_hex(4),
            filter=each,
            user=arrival.user,
        )
        return Verdict()
    return verdict
