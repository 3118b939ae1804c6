"""Messages on their way into a virtual folder: from a client, or out of another folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailpost.mail.errors import MailError
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, Copied, NewMessage
from mailpost.storage.virtual.mailbox import VirtualMailbox


async def transfer_into(
    mailbox: VirtualMailbox, source: Any, uids: Sequence[int], *, move: bool, origin: object | None
) -> Copied:
    """Let the program take copies of messages of any folder, of which moved ones are then removed.

    They are taken some at a time. Where one cannot be, those before it are removed again, if that can be.

    Raises what fetching them and `VirtualMailbox.add` raise; READ_ONLY or CANNOT where they cannot be moved from there.
    """
    mailbox.require_additions()
    if move and isinstance(source, VirtualMailbox):
        source.require_removal()
    flags = dict(zip(source.live.uids, source.live.flags, strict=True))
    copied: list[int] = []
    taken: list[int] = []
    try:
        async for batch in source.fetch(uids, (Attribute.OCTETS, Attribute.INTERNALDATE)):
            new = [NewMessage(octets, flags[uid], date) for uid, octets, date in batch]
            taken += await mailbox.add(new, origin)
            copied += [uid for uid, _, _ in batch]
    except MailError:
        if taken and mailbox.source.can("remove"):
            await mailbox.remove(taken, origin)
        raise
    if move and copied:
        await settled(source.remove(copied, origin=origin))
    if len(taken) < len(copied):  # some have become no messages of their own
        return Copied(mailbox.live.uidvalidity)
    return Copied(mailbox.live.uidvalidity, copied, taken)
