"""What is said when a mail has not come: what did come, and why that is not it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailpost.testing.criteria import Criteria
from mailpost.testing.mail import Mail
from mailpost.testing.mailbox import Cursor, Mailbox

MOST_ROWS = 20
_WIDTHS = (28, 36, 19)
_TITLES = ("From", "Subject", "Arrived (UTC)")


class NoMailError(AssertionError):
    """A mail that was waited for has not come; the text has a table of what did."""


async def no_mail(
    mailbox: Mailbox, wanted: Criteria, cursor: Cursor, waited: float, others: Iterable[Mailbox]
) -> NoMailError:
    """The error, with what is in the folder, and what is new in other folders of the server."""
    sought = f" matches {wanted}" if wanted.all else " is new"
    lines = [f"No mail in {mailbox.name} of {mailbox.user}{sought}; waited {waited:g} s."]
    mails, count = await mailbox.latest(MOST_ROWS)
    if mails:
        reasons = {mail.uid: mailbox.why_old(mail.uid, cursor) for mail in mails}
        for each in wanted.all:
            matching = await mailbox.matching(each.key)
            for mail in mails:
                if mail.uid not in matching:
                    reasons[mail.uid] = "; ".join(filter(None, (reasons[mail.uid], f"not {each.text}")))
        lines += ["There it has:", *_table(mails, count, "Why not", [reasons[mail.uid] for mail in mails])]
    else:
        lines.append("There is nothing at all there.")
    elsewhere, notes, count = [], [], 0
    for other in others:
        mails, here = await other.latest(MOST_ROWS)
        count += here
        matching = await other.matching(wanted.key) if mails and wanted.all else frozenset()
        elsewhere += mails
        notes += [f"{other.name} of {other.user}" + (", and matches" if mail.uid in matching else "") for mail in mails]
    if elsewhere:
        lines += ["Elsewhere on this server:", *_table(elsewhere[-MOST_ROWS:], count, "In", notes[-MOST_ROWS:])]
    return NoMailError("\n".join(lines))


def _table(mails: Sequence[Mail], count: int, title: str, notes: Sequence[str]) -> list[str]:
    """Lines of a table of some of `count` mails, the latest mail last."""
    rows = [(*_TITLES, title)]
    rows += [
        (mail.sender or "-", mail.subject or "-", f"{mail.arrived:%Y-%m-%d %H:%M:%S}", note)
        for mail, note in zip(mails, notes, strict=True)
    ]
    lines = ["  " + "  ".join([*map(_cell, row[:3], _WIDTHS), row[3]]) for row in rows]
    if count > len(mails):
        lines.insert(1, f"  ... and {count - len(mails)} more, older")
    return lines


def _cell(text: str, width: int) -> str:
    text = " ".join(text.split())
    return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)
