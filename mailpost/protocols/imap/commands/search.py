"""SEARCH and UID SEARCH: the store finds UIDs, the session says them in its client's numbers.

RFC: 3501 §6.4.4, §7.2.5, 9051 §6.4.4, §6.4.4.1, §7.3.4, 4731 (ESEARCH), 5182 (SAVE), 7162 §3.1.5, §3.1.6 (MODSEQ),
9394 §3.1 (PARTIAL)
"""

from __future__ import annotations

from collections.abc import Sequence

from mailpost.mail.errors import ErrorKind, IncompleteError, MailError
from mailpost.mail.uidset import UidSet
from mailpost.protocols.imap.commands.context import Context, knows_modseqs
from mailpost.protocols.imap.selected import SelectedMailbox, uid_required
from mailpost.storage.offload import settled
from mailpost.wire.imap.commands import ParseError, Search, SearchReturn
from mailpost.wire.imap.partial import PartialRange
from mailpost.wire.imap.responses import esearch_line, search_line

_IN_PART = frozenset({SearchReturn.MIN, SearchReturn.MAX, SearchReturn.PARTIAL})
_ALL = frozenset({SearchReturn.ALL})
_SAVE = frozenset({SearchReturn.SAVE})


async def search(context: Context, command: Search) -> None:
    """Find messages. What has gone or is not announced yet when the answer is written is not in it.

    Where some messages cannot be read, what was found among the others is told before the NO.
    """
    selected = context.selected
    assert selected is not None
    if not command.uid and selected.uid_only:
        raise uid_required()
    if command.charset and "UTF8=ACCEPT" in context.enabled:
        raise ParseError("All strings are UTF-8 since UTF8=ACCEPT: name no CHARSET")
    saves = command.returns is not None and SearchReturn.SAVE in command.returns
    if not command.charset_known:
        if saves:
            selected.saved = UidSet()
        raise MailError(ErrorKind.BAD_CHARSET, "This charset is not known")
    key = selected.resolved(command.key)
    if command.modseq:
        knows_modseqs(context, needed=True)
    try:
        found = await settled(selected.mailbox.search(key))
    except IncompleteError as error:
        if saves:
            selected.saved = UidSet()
        _write(context, command, error.found)
        raise
    except MailError:
        if saves:  # RFC: 5182 §2.1: a search that fails leaves nothing saved
            selected.saved = UidSet()
        raise
    uids = selected.present(found)
    if saves and command.returns is not None:
        selected.saved = UidSet.of(_returned(uids, command.returns - {SearchReturn.SAVE}, command.partial))
    _write(context, command, uids)


def _write(context: Context, command: Search, found: Sequence[int]) -> None:
    """Write the answer: what the client asked to know of those found."""
    selected = context.selected
    assert selected is not None
    returns = command.returns
    if returns == _SAVE:
        return
    uids = selected.present(found)
    numbers = uids if command.uid else selected.view.seqs(uids)
    if returns is None and "IMAP4REV2" in context.enabled:
        returns = _ALL
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
        numbers=numbers if SearchReturn.ALL in returns else None,
        modseq=_highest(selected, _returned(uids, returns, command.partial)) if command.modseq else None,
        page=(bytes(command.partial), numbers[command.partial.of(len(numbers))]) if command.partial else None,
    )
    context.write(line)


def _returned(
    uids: Sequence[int], returns: frozenset[SearchReturn], partial: PartialRange | None = None
) -> Sequence[int]:
    """The messages that an answer is about: all, unless only ends or a page are told. They are what SAVE saves.

    RFC: 4731 §3.2 (MODSEQ), 5182 §2.4, 9394 §3.2
    """
    if not uids or not returns or not returns <= _IN_PART:
        return uids
    told = set(uids[partial.of(len(uids))]) if partial is not None else set()
    if SearchReturn.MIN in returns:
        told.add(uids[0])
    if SearchReturn.MAX in returns:
        told.add(uids[-1])
    return sorted(told)


def _highest(selected: SelectedMailbox, uids: Sequence[int]) -> int | None:
    """The highest mod-sequence of these messages; None if there are none."""
    return max(selected.columns(uids)[1], default=None)
