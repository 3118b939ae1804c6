"""LIST, LSUB and NAMESPACE: which folders there are.

Attributes tell of children and special uses whether or not the client asked: RFC 3348 and 6154 permit it.

RFC: 3501 §6.3.8, §6.3.9, 9051 §6.3.9, 5258 (extended LIST), 3348 §3 (children), 6154 §2 (special use), 2342 (NAMESPACE)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from mailpost.mail.errors import MailError
from mailpost.mail.foldertree import above
from mailpost.mail.listpatterns import Matcher, list_matcher
from mailpost.protocols.imap.commands.context import Context, utf8_names
from mailpost.protocols.imap.commands.folderlines import folder_line, parents_of, tell_status
from mailpost.storage.interfaces import refreshed
from mailpost.storage.records import Folder
from mailpost.wire.imap.commands import List, ListReturn, ListSelection, Lsub, Namespace, StatusItem
from mailpost.wire.imap.responses import list_line, namespace_line

_CRITERIA = (ListSelection.SUBSCRIBED, ListSelection.SPECIAL_USE)
"""Selection options that choose folders; RECURSIVEMATCH extends one of them. RFC: 5258 §3.5, 6154 §5.1"""


async def list_folders(context: Context, command: List) -> None:
    """LIST, plain and extended; with RETURN (STATUS), counts follow each folder."""
    separator: str = context.account.separator
    if command.patterns == ("",) and not command.extended:
        context.write(list_line("", separator, (b"\\Noselect",)))
        return
    await refreshed(context.account)
    matchers = [list_matcher(command.reference + pattern, separator) for pattern in command.patterns]
    listing = _Listing(context, command)
    inside = listing.reaching_outside(matchers) if ListSelection.RECURSIVEMATCH in command.selection else set()
    for folder in listing.folders:
        if not any(matches(folder.name) for matches in matchers):
            continue
        chosen = listing.chosen(folder)
        if chosen or folder.name in inside:
            context.write(listing.line(folder, folder.name in inside))
        if chosen and command.status and folder.selectable:
            await _status(context, folder.name, command.status)


async def _status(context: Context, name: str, items: Sequence[StatusItem]) -> None:
    # A folder that went away since it was listed has no counts, and LIST has not failed for it. RFC: 5819 §2
    with suppress(MailError):
        await tell_status(context, name, items)
        await context.drained()


class _Listing:
    """The folders of one LIST, and what is told of each."""

    def __init__(self, context: Context, command: List) -> None:
        account = context.account
        folders: list[Folder] = account.folders()
        subscribed: frozenset[str] = account.subscriptions()
        separator: str = account.separator
        self._context = context
        self._separator = separator
        self._extended = command.extended
        self._selection = command.selection
        self._subscribed = subscribed
        self._tell_subscribed = (
            ListReturn.SUBSCRIBED in command.returns or ListSelection.SUBSCRIBED in command.selection
        )
        self._parents = parents_of(folders, separator)
        self.folders = folders
        if ListSelection.SUBSCRIBED in command.selection:
            there = {folder.name for folder in folders}
            missing = subscribed - there
            if ListSelection.RECURSIVEMATCH in command.selection:
                missing |= {name for each in missing for name in above(each, separator)} - there
            self.folders = folders + [Folder(name, selectable=False) for name in sorted(missing)]

    def chosen(self, folder: Folder) -> bool:
        """Whether the selection options take this folder for its own sake."""
        if ListSelection.SUBSCRIBED in self._selection and folder.name not in self._subscribed:
            return False
        return ListSelection.SPECIAL_USE not in self._selection or folder.special_use is not None

    def reaching_outside(self, matchers: Sequence[Matcher]) -> set[str]:
        """Names above chosen folders that the patterns do not show themselves. RFC: 5258 §3.5"""
        hidden = (
            folder.name
            for folder in self.folders
            if self.chosen(folder) and not any(matches(folder.name) for matches in matchers)
        )
        return {name for each in hidden for name in above(each, self._separator)}

    def line(self, folder: Folder, inside: bool) -> bytes:
        """The LIST response; `inside` says that chosen folders lie below, out of the patterns' reach."""
        return folder_line(
            self._context,
            folder,
            self._parents,
            extended=self._extended,
            subscribed=self._tell_subscribed and folder.name in self._subscribed,
            criteria=[option.value for option in _CRITERIA if option in self._selection] if inside else (),
        )


async def lsub(context: Context, command: Lsub) -> None:
    """LSUB: subscribed names, whether they exist or not.

    With `%`, a name above a subscribed one is shown as \\Noselect where it is not subscribed itself. RFC: 3501 §6.3.9
    """
    account = context.account
    await refreshed(account)
    separator: str = account.separator
    subscribed: frozenset[str] = account.subscriptions()
    matches = list_matcher(command.reference + command.pattern, separator)
    shown = {name for name in subscribed if matches(name)}
    parents = set()
    if "%" in command.pattern:
        parents = {name for each in subscribed - shown for name in above(each, separator) if matches(name)} - shown
    for name in sorted(shown | parents):
        attributes = (b"\\Noselect",) if name in parents else ()
        context.write(list_line(name, separator, attributes, lsub=True, utf8=utf8_names(context)))


async def namespace(context: Context, command: Namespace) -> None:
    """NAMESPACE: all folders are personal, below no prefix."""
    context.write(namespace_line(context.account.separator))
