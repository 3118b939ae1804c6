"""What is asked of a store about how much an account holds."""

from __future__ import annotations

from mailpost.mail.flags import DELETED, FlagChange, intern_flags
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import NO_LIMIT, Usage
from mailpost.testing.contract.base import PLAIN, REPLY, Contract


class UsageContract(Contract):
    """`usage` and `quota_limit` of an account. RFC: 9208 §5.1, §5.2, §4.1.4"""

    async def usage(self) -> Usage:
        """What the account holds now."""
        found: Usage = await ask(self.account.usage())
        return found

    async def test_a_new_account_holds_nothing_and_has_no_limit(self) -> None:
        """Unless the store was told of one."""
        self.assertEqual(await self.usage(), Usage(0, 0))
        self.assertEqual(self.account.quota_limit, NO_LIMIT)

    async def test_what_comes_in_counts_and_what_goes_does_not(self) -> None:
        """Appends, copies, moves and expunges; octets may be those with LF line ends."""
        await ask(self.account.create("Other"))
        await self.add(PLAIN, REPLY)
        if not self.usage_is_counted:
            self.assertEqual(await self.usage(), Usage(0, 0))
            return
        used = await self.usage()
        self.assertEqual(used.messages, 2)
        whole = len(PLAIN) + len(REPLY)
        self.assertIn(used.octets, (whole, whole - PLAIN.count(b"\r\n") - REPLY.count(b"\r\n")))
        mailbox = await self.opened()
        await ask(mailbox.copy([1, 2], "Other"))
        self.assertEqual(await self.usage(), Usage(2 * used.octets, 4))
        await ask(mailbox.copy([1], "Other", move=True))
        self.assertEqual(await self.usage(), Usage(2 * used.octets, 4))
        await ask(mailbox.store([2], FlagChange.ADD, intern_flags([DELETED])))
        await ask(mailbox.expunge())
        self.assertEqual((await self.usage()).messages, 3)
        await ask(self.account.delete("Other"))
        self.assertEqual(await self.usage(), Usage(0, 0))

    async def test_what_an_expunge_would_free(self) -> None:
        """Is in the folder's counts, whether it is open or not."""
        await self.add(PLAIN, flags=[DELETED])
        await self.add(REPLY)
        before = await ask(self.account.status("INBOX"))
        mailbox = await self.opened()
        status = await ask(self.account.status("INBOX"))
        self.assertEqual((before.deleted, before.deleted_size), (status.deleted, status.deleted_size))
        self.assertIn(status.deleted_size, (len(PLAIN), len(PLAIN) - PLAIN.count(b"\r\n")))
        await ask(mailbox.expunge())
        status = await ask(self.account.status("INBOX"))
        self.assertEqual((status.deleted, status.deleted_size), (0, 0))
