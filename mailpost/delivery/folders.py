"""Where mail is put: the one place through which delivery and import add messages to somebody's folders."""

from __future__ import annotations

from collections.abc import Sequence

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import INBOX, known_name
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.offload import settled
from mailpost.storage.records import Appended, NewMessage


async def file_messages(account: IMailAccount, folder: str, messages: Sequence[NewMessage]) -> Appended:
    """Put messages into a folder that is there, all or none, durable when it answers.

    This is what delivery ends in, and where mail that only moves house (an import: no recipient to be resolved, no
    filter to be asked, flags and dates given) begins.

    Raises:
        MailError: NO_SUCH_FOLDER, OVER_QUOTA, DISK_FULL, as `IMailAccount.append` does.
    """
    appended: Appended = await settled(account.append(folder, messages))
    return appended


async def make_folder(account: IMailAccount, name: str) -> None:
    """Make a folder and subscribe to it, unless it is there.

    Raises:
        MailError: BAD_FOLDER_NAME and what else `IMailAccount.create` raises.
    """
    if is_there(account, name):
        return
    try:
        await settled(account.create(name))
    except MailError as error:
        if error.kind is not ErrorKind.FOLDER_EXISTS:  # as when another message has made it just now
            raise
    await settled(account.subscribe(name, True))


def is_there(account: IMailAccount, name: str) -> bool:
    """Whether the account has a folder of this name that holds messages."""
    name = known_name(name, account.separator)
    return any(each.name == name and each.selectable for each in account.folders())


def meant_folder(account: IMailAccount, detail: str) -> str:
    """The folder that the detail of an address names; INBOX where there is none.

    Case does not matter, but the very spelling wins; a dot may stand between levels, since many programs let no
    other separator into an address. RFC: 5233 §1
    """
    if not detail:
        return INBOX
    names = [each.name for each in account.folders() if each.selectable]
    if detail in names:
        return detail
    for wanted in (detail, detail.replace(".", account.separator)):
        for name in names:
            if name.casefold() == wanted.casefold():
                return name
    return INBOX
