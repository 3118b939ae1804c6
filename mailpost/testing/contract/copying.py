"""What every mail store promises of messages that are copied and moved."""

from __future__ import annotations

from dataclasses import replace

from mailpost.mail.errors import ErrorKind
from mailpost.mail.flags import (
    ANSWERED,
    DELETED,
    SEEN,
    FlagChange,
    intern_flags,
)
from mailpost.storage.live import ChangeKind
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import Attribute, SpecialUse
from mailpost.testing.contract.base import PLAIN, REPLY, Contract, Watching

Message = tuple[bytes, frozenset[str], int]


class CopyContract(Contract):
    """COPY and MOVE. RFC: 3501 §6.4.7, 6851"""

    async def whole(self, name: str) -> list[Message]:
        """Octets, flags and date of all messages of a folder."""
        mailbox = await self.opened(name)
        rows = await self.rows(mailbox, mailbox.live.uids, Attribute.OCTETS, Attribute.INTERNALDATE)
        flags = self.flags_of(mailbox)
        return [(octets, flags[uid], date) for uid, octets, date in rows]

    async def test_copy(self) -> None:
        """Messages go to the other folder with all they have, and stay here; the gone are passed over."""
        await ask(self.account.create("Other"))
        await self.numbered(1, "Other")
        await self.add(PLAIN, REPLY, flags=[SEEN, "$Work"])
        mailbox, other = await self.opened(), await self.opened("Other")
        watching, me = Watching(other.live), object()
        copied = await ask(mailbox.copy([1, 2, 77], "Other", origin=me))
        self.assertEqual((list(copied.source_uids), list(copied.target_uids)), ([1, 2], [2, 3]))
        self.assertEqual(copied.uidvalidity, other.live.uidvalidity)
        self.assertEqual((await self.whole("Other"))[1:], await self.whole("INBOX"))
        self.assertEqual(self.flags_of(other)[3], frozenset([SEEN, "$Work"]))
        (change,) = watching.read()
        self.assertEqual((change.kind, list(change.uids)), (ChangeKind.ARRIVED, [2, 3]))
        self.assertIs(change.origin, me)
        self.consistent(other)
        watching.cursor.close()

    async def test_copies_are_apart(self) -> None:
        """A flag of the copy is not one of the original; the copy outlives it."""
        await ask(self.account.create("Other"))
        await self.add(PLAIN, flags=[ANSWERED])
        mailbox, other = await self.opened(), await self.opened("Other")
        await ask(mailbox.copy([1], "Other"))
        await ask(mailbox.store([1], FlagChange.ADD, intern_flags([DELETED])))
        await ask(mailbox.expunge())
        self.assertEqual(self.flags_of(other), {1: frozenset([ANSWERED])})
        self.assertEqual(await self.rows(other, [1], Attribute.OCTETS), [(1, PLAIN)])

    async def test_move(self) -> None:
        """Moved messages are there and no longer here; both folders' sessions are told."""
        await ask(self.account.create("Other"))
        await self.add(PLAIN, REPLY, PLAIN, flags=[SEEN, "$Work"])
        before = await self.whole("INBOX")
        mailbox, other = await self.opened(), await self.opened("Other")
        here, there, me = Watching(mailbox.live), Watching(other.live), object()
        moved = await ask(mailbox.copy([1, 3], "Other", move=True, origin=me))
        self.assertEqual((list(moved.source_uids), list(moved.target_uids)), ([1, 3], [1, 2]))
        self.assertEqual(list(mailbox.live.uids), [2])
        self.assertEqual(await self.whole("Other"), [before[0], before[2]])
        self.assertEqual(self.flags_of(other)[2], frozenset([SEEN, "$Work"]))
        (gone,), (come,) = here.read(), there.read()
        self.assertEqual((gone.kind, list(gone.uids), gone.origin), (ChangeKind.EXPUNGED, [1, 3], me))
        self.assertEqual((come.kind, list(come.uids), come.origin), (ChangeKind.ARRIVED, [1, 2], me))
        self.consistent(mailbox)
        here.cursor.close()
        there.cursor.close()

    async def test_into_the_same_folder(self) -> None:
        """A copy there doubles the messages, a move gives them new UIDs."""
        await self.add(PLAIN, REPLY, flags=[SEEN])
        mailbox = await self.opened()
        copied = await ask(mailbox.copy([1, 2], "inbox"))
        self.assertEqual(list(copied.target_uids), [3, 4])
        moved = await ask(mailbox.copy([1, 3], "INBOX", move=True))
        self.assertEqual(list(moved.target_uids), [5, 6])
        self.assertEqual(list(mailbox.live.uids), [2, 4, 5, 6])
        self.assertEqual([octets for octets, _, _ in await self.whole("INBOX")], [REPLY, REPLY, PLAIN, PLAIN])
        self.consistent(mailbox)

    async def test_a_target_that_is_not_there(self) -> None:
        """Nothing is copied or moved; nor when there is nothing to copy."""
        await self.numbered(2)
        mailbox = await self.opened()
        for move in (False, True):
            for uids in ([1, 2], []):
                with self.refused(ErrorKind.NO_SUCH_FOLDER, ErrorKind.NO_TARGET):
                    await ask(mailbox.copy(uids, "None", move=move))
        self.assertEqual(list(mailbox.live.uids), [1, 2])

    async def test_nothing_to_copy(self) -> None:
        """Only messages that are gone: an empty answer."""
        await ask(self.account.create("Other"))
        mailbox = await self.opened()
        copied = await ask(mailbox.copy([5, 6], "Other"))
        self.assertEqual((list(copied.source_uids), list(copied.target_uids)), ([], []))

    async def test_into_a_folder_that_nobody_has_open(self) -> None:
        """Its counts are right afterwards."""
        folder = await ask(self.account.create("Kept", SpecialUse.ARCHIVE))
        await self.numbered(3)
        mailbox = await self.opened()
        await ask(mailbox.copy([1, 2, 3], "Kept", move=True))
        status = await ask(self.account.status("Kept"))
        self.assertEqual((status.messages, status.uidnext, status.mailbox_id), (3, 4, folder.mailbox_id))
        self.assertEqual(self.account.folders().count(replace(folder)), 1)
