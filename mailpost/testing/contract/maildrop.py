"""INBOX as POP3 has it."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from mailpost.mail.errors import ErrorKind
from mailpost.storage.interfaces import IMaildrop, IMaildropAccount
from mailpost.storage.live import ChangeKind
from mailpost.storage.offload import settled as ask
from mailpost.testing.contract.base import Contract, Watching


class MaildropContract(Contract):
    """`IMaildropAccount`, for stores that have POP3. RFC: 1939 §4, §6"""

    async def maildrop(self) -> IMaildrop:
        """Take the maildrop."""
        verifyObject(IMaildropAccount, self.account)
        held: IMaildrop = await ask(IMaildropAccount(self.account).maildrop())
        verifyObject(IMaildrop, held)
        return held

    async def test_one_at_a_time(self) -> None:
        """Whoever has it keeps others out, IMAP not; a release lets them in."""
        held = await self.maildrop()
        for _ in range(2):
            with self.refused(ErrorKind.IN_USE):
                await self.maildrop()
        await self.opened()
        await self.add(b"\r\n")
        held.release()
        (await self.maildrop()).release()

    async def test_it_shows_inbox(self) -> None:
        """With its UIDs; nobody else has settled UIDLs."""
        await self.numbered(3)
        held = await self.maildrop()
        self.assertEqual((list(held.mailbox.live.uids), dict(held.uidls)), ([1, 2, 3], {}))
        held.release()

    async def test_remove(self) -> None:
        r"""With \\Deleted or without; sessions are told in one change; what is gone is passed over."""
        await self.numbered(5)
        mailbox = await self.opened()
        watching = Watching(mailbox.live)
        held = await self.maildrop()
        self.assertEqual(await ask(held.remove([1, 3, 4])), [1, 3, 4])
        self.assertEqual(await ask(held.remove([3, 5, 9])), [5])
        self.assertEqual(await ask(held.remove([])), [])
        changes = [(change.kind, list(change.uids)) for change in watching.read()]
        self.assertEqual(changes, [(ChangeKind.EXPUNGED, [1, 3, 4]), (ChangeKind.EXPUNGED, [5])])
        self.assertEqual(list(mailbox.live.uids), [2])
        if self.usage_is_counted:
            self.assertEqual((await ask(self.account.usage())).messages, 1)
        self.consistent(mailbox)
        watching.cursor.close()
        held.release()

    async def test_remove_many(self) -> None:
        """However many they are, it is one change."""
        await self.numbered(1200)
        mailbox = await self.opened()
        watching = Watching(mailbox.live)
        held = await self.maildrop()
        self.assertEqual(len(await ask(held.remove(list(range(1, 1200))))), 1199)
        self.assertEqual(len(watching.read()), 1)
        self.assertEqual(list(mailbox.live.uids), [1200])
        watching.cursor.close()
        held.release()
