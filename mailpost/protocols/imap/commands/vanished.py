"""What was expunged while a client was away, for SELECT with QRESYNC and UID FETCH with VANISHED.

RFC: 7162 §3.2.5, §3.2.6, §3.2.10.1
"""

from __future__ import annotations

from mailpost.mail.uidset import UidSet
from mailpost.protocols.imap.commands.context import Context
from mailpost.protocols.imap.selected import SelectedMailbox
from mailpost.storage.live import LiveMailbox
from mailpost.storage.offload import settled
from mailpost.wire.imap.responses import vanished_line


async def tell_vanished(context: Context, asked: UidSet, since: int) -> None:
    """Write VANISHED (EARLIER) for those of these UIDs that went at mod-sequences above this.

    Those that this client still counts are not among them: they are told when the client may renumber.
    """
    selected = context.selected
    assert selected is not None
    remembered = await settled(selected.mailbox.vanished(since))
    selected.catch_up()
    if remembered is None:  # all that is not there, but nothing that has never been
        remembered = all_ever(selected.live) - UidSet.of(selected.live.uids)
    gone = (remembered & asked) - UidSet.of(selected.view.ghosts)
    if gone:
        context.write(vanished_line(gone, earlier=True))


def all_ever(live: LiveMailbox) -> UidSet:
    """All UIDs that messages have or had."""
    return UidSet(((1, live.uidnext - 1),)) if live.uidnext > 1 else UidSet()


def known_up_to(selected: SelectedMailbox, match: tuple[UidSet, UidSet]) -> int:
    """The highest UID up to which the client knows of all that went, by pairs of numbers and UIDs that it holds.

    RFC: 7162 §3.2.5.2
    """
    highest, exists = 0, selected.view.exists
    for number, uid in zip(*match, strict=False):
        if number > exists:
            break
        if selected.view.uid(number) == uid:
            highest = uid
    return highest
