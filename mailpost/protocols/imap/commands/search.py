"""SEARCH and UID SEARCH: the store finds UIDs, the session says them in its client's numbers.

RFC: 3501 §6.4.4, §7.2.5, 9051 §6.4.4, §7.3.4, 4731 (ESEARCH), 7162 §3.1.5, §3.1.6 (MODSEQ)
"""

from __future__ import annotations

from collections.abc import Sequence

from mailpost.mail.errors import IncompleteError
from mailpost.protocols.imap.commands.context import Context
from mailpost.protocols.imap.selected import SelectedMailbox
from mailpost.storage.offload import settled
from mailpost.wire.imap.commands import ParseError, Search, SearchReturn
from mailpost.wire.imap.responses import esearch_line, search_line

_ENDS = frozenset({SearchReturn.MIN, SearchReturn.MAX})


async def search(context: Context, command: Search) -> None:
    """Find messages. What has gone or is not announced yet when the answer is written is not in it.

    Where some messages cannot be read, what was found among the others is told before the NO.
    """
    selected = context.selected
    assert selected is not None
    returns = command.returns
    if returns is not None and SearchReturn.SAVE in returns:
        raise ParseError("Results are not saved here")
    if command.modseq:
        selected.enable_condstore()
    try:
        found = await settled(selected.mailbox.search(selected.resolved(command.key)))
    except IncompleteError as error:
        _write(context, command, error.found)
        raise
    _write(context, command, found)


def _write(context: Context, command: Search, found: Sequence[int]) -> None:
    """Write the answer: what the client asked to know of those found."""
    selected = context.selected
    assert selected is not None
    returns = command.returns
    uids = selected.present(found)
    numbers = uids if command.uid else selected.view.seqs(uids)
    if returns is None:
        modseq = _highest(selected, uids) if command.modseq else None
        context.write(search_line(numbers, modseq))
        return
    line = esearch_line(
        context.tag,
        uid=command.uid,
        least=numbers[0] if numbers and SearchReturn.MIN in returns else None,
        greatest=numbers[-1] if numbers and SearchReturn.MAX in returns else None,
        count=len(numbers) if SearchReturn.COUNT in returns else None,
        numbers=numbers if SearchReturn.ALL in returns or not returns else None,
        modseq=_highest(selected, _returned(uids, returns)) if command.modseq else None,
    )
    context.write(line)


def _returned(uids: Sequence[int], returns: frozenset[SearchReturn]) -> Sequence[int]:
    """The messages whose mod-sequences count: all, unless only ends are told. RFC: 4731 §3.2"""
    if not uids or not returns or not returns <= _ENDS:
        return uids
    ends = [uids[0]] if SearchReturn.MIN in returns else []
    if SearchReturn.MAX in returns and (len(uids) > 1 or not ends):
        ends.append(uids[-1])
    return ends


def _highest(selected: SelectedMailbox, uids: Sequence[int]) -> int | None:
    """The highest mod-sequence of these messages; None if there are none."""
    return max(selected.columns(uids)[1], default=None)
