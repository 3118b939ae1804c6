"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS: folders by name.

RFC: 3501 §6.3.3 to §6.3.7, §6.3.10, 9051 §6.3.4 to §6.3.8, §6.3.11, 6154 §3 (CREATE with USE), 8438 §3 (SIZE),
8474 §4.1 (MAILBOXID), 7889 §3.1 (APPENDLIMIT)
"""

from __future__ import annotations

from unicodedata import normalize

from mailpost.mail.foldertree import INBOX, canonical_name
from mailpost.protocols.imap.commands.context import Completed, Context, knows_modseqs, utf8_names
from mailpost.protocols.imap.commands.folderlines import announce, tell_status
from mailpost.storage.offload import settled
from mailpost.storage.records import Folder, SpecialUse
from mailpost.wire.imap.commands import Create, Delete, Rename, Status, StatusItem, Subscribe, Unsubscribe

_OF_ALL_FOLDERS = {SpecialUse.ALL, SpecialUse.FLAGGED}
"""Uses that say of a folder that it shows all messages, or the flagged ones, of all folders. RFC: 6154 §2"""


async def create(context: Context, command: Create) -> Completed | None:
    """CREATE, also of a name with the separator behind it, which announces folders below."""
    uses = [use for use in SpecialUse if use.value in command.special_use]
    if len(uses) != len(command.special_use) or len(uses) > 1:
        return Completed(b"A folder can have one special use of those that are known", b"USEATTR", ok=False)
    if set(uses) & _OF_ALL_FOLDERS:
        return Completed(b"No folder shows the messages of others", b"USEATTR", ok=False)
    name = _named(context, command.mailbox)
    made: Folder = await settled(context.account.create(name, uses[0] if uses else None))
    _tell_name(context, name, command.mailbox)
    return Completed(code=b"MAILBOXID (%b)" % made.mailbox_id.encode("ascii") if made.mailbox_id else b"")


async def delete(context: Context, command: Delete) -> None:
    """DELETE. The session that deletes what it has selected is in the authenticated state afterwards."""
    await settled(context.account.delete(command.mailbox))
    selected = context.selected
    if selected is not None and selected.gone:
        context.deselect()
        context.write(b"* OK [CLOSED] The selected mailbox was deleted\r\n")


async def rename(context: Context, command: Rename) -> None:
    """RENAME; of INBOX it moves the messages only."""
    name = _named(context, command.new)
    await settled(context.account.rename(command.old, name))
    if command.old != INBOX:
        _tell_name(context, name, command.old)


def _named(context: Context, name: str) -> str:
    """The name that a new folder gets: composed, and without the separator at its end, which clients may send.

    RFC: 3501 §6.3.3, 9051 §5.1, §6.3.4 (Net-Unicode)
    """
    separator: str = context.account.separator
    name = name[:-1] if len(name) > 1 and name.endswith(separator) else name
    return normalize("NFC", name) if utf8_names(context) else name


def _tell_name(context: Context, name: str, given: str) -> None:
    """Tell a client of IMAP4rev2 what a folder is called that it knows, or named, otherwise. RFC: 9051 §6.3.9.7"""
    separator: str = context.account.separator
    if "IMAP4REV2" in context.enabled and given.removesuffix(separator) != name:
        announce(context, canonical_name(name, separator), given)


async def subscribe(context: Context, command: Subscribe) -> None:
    """SUBSCRIBE, of a folder that exists."""
    await settled(context.account.subscribe(command.mailbox, True))


async def unsubscribe(context: Context, command: Unsubscribe) -> None:
    """UNSUBSCRIBE, whether the folder exists or not."""
    await settled(context.account.subscribe(command.mailbox, False))


async def status(context: Context, command: Status) -> None:
    """STATUS. Whoever asks for HIGHESTMODSEQ knows of mod-sequences. RFC: 7162 §3.1"""
    if StatusItem.HIGHESTMODSEQ in command.items:
        knows_modseqs(context)
    await tell_status(context, command.mailbox, command.items)
