"""LIST and STATUS responses: a folder as LIST and STATUS show it, and as SELECT, CREATE and RENAME tell of it.

RFC: 3501 §7.2.2, §7.2.4, 9051 §7.3.1, §6.3.9.7 (OLDNAME), 3348 §3 (children), 6154 §2 (special use), 7889 §3
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailpost.protocols.imap.commands.context import Context, utf8_names
from mailpost.storage.interfaces import ICountingAccount
from mailpost.storage.offload import settled
from mailpost.storage.records import Folder, Status
from mailpost.wire.imap.commands import StatusItem
from mailpost.wire.imap.responses import list_line, status

_OF_SIZES = frozenset({StatusItem.SIZE, StatusItem.DELETED_STORAGE})


def parents_of(folders: Iterable[Folder], separator: str) -> set[str]:
    """The names that have folders below them."""
    return {folder.name.rpartition(separator)[0] for folder in folders}


def folder_line(
    context: Context,
    folder: Folder,
    parents: set[str],
    *,
    extended: bool = True,
    subscribed: bool = False,
    criteria: Sequence[bytes] = (),
    old_name: str | None = None,
) -> bytes:
    """The LIST response about a folder.

    Args:
        context: whose client is told.
        folder: which.
        parents: names that have folders below them.
        extended: the client knows \\NonExistent, which says more than \\Noselect.
        subscribed: to be told that it is subscribed.
        criteria: selection options that folders below it meet. RFC: 5258 §3.5 (CHILDINFO)
        old_name: what it was called before.
    """
    attributes = []
    if not folder.selectable:
        attributes.append(b"\\NonExistent" if extended else b"\\Noselect")
    attributes.append(b"\\HasChildren" if folder.name in parents else b"\\HasNoChildren")
    if subscribed:
        attributes.append(b"\\Subscribed")
    if folder.special_use is not None:
        attributes.append(folder.special_use.value.encode())
    separator: str = context.account.separator
    return list_line(
        folder.name, separator, attributes, child_info=criteria, old_name=old_name, utf8=utf8_names(context)
    )


async def tell_status(context: Context, name: str, items: Sequence[StatusItem]) -> None:
    """The STATUS response about a folder. Sizes, which may take long to tell, are asked for where they are wanted."""
    account = context.account
    quick = _OF_SIZES.isdisjoint(items) and ICountingAccount.providedBy(account)
    counts: Status = await settled((account.counts if quick else account.status)(name))
    limit = context.settings.message_size
    context.write(status(name, counts, items, append_limit=limit, utf8=utf8_names(context)))


def announce(context: Context, name: str, old_name: str | None = None) -> None:
    """Tell of one folder as it is now: after SELECT, and where its name is not the one that the client gave.

    RFC: 9051 §6.3.2, §6.3.4, §6.3.6
    """
    account = context.account
    folders: list[Folder] = account.folders()
    found = next((folder for folder in folders if folder.name == name), None)
    if found is not None:
        parents = parents_of(folders, account.separator)
        subscribed = name in account.subscriptions()
        context.write(folder_line(context, found, parents, subscribed=subscribed, old_name=old_name))
