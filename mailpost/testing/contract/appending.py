"""What every mail store promises of messages that come in."""

from __future__ import annotations

from mailpost.mail.errors import ErrorKind
from mailpost.mail.flags import (
    DELETED,
    NO_FLAGS,
    RECENT,
    SEEN,
    intern_flags,
)
from mailpost.mail.lineends import normalised
from mailpost.mail.uidset import UidSet
from mailpost.storage.live import ChangeKind
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import Attribute, NewMessage
from mailpost.testing.contract.base import ENCODED, FOLDED, NOON, ODD, PLAIN, REPLY, Contract, Watching


class AppendContract(Contract):
    """APPEND. RFC: 3501 §6.3.11, 3502, 4315 §3"""

    async def test_one_after_the_other(self) -> None:
        """UIDs ascend and are told, with UIDVALIDITY."""
        first = await ask(self.account.append("INBOX", [NewMessage(PLAIN)]))
        second = await ask(self.account.append("inbox", [NewMessage(REPLY), NewMessage(PLAIN)]))
        mailbox = await self.opened()
        self.assertEqual([*first.uids, *second.uids], [1, 2, 3])
        self.assertEqual(first.uidvalidity, mailbox.live.uidvalidity)
        self.assertEqual(list(mailbox.live.uids), [1, 2, 3])
        self.consistent(mailbox)

    async def test_in_the_place_of_another(self) -> None:
        """One comes and one goes in a step, \\Deleted or not; where that one is gone already nothing happens.

        RFC: 8508 §3.4
        """
        await self.add(PLAIN, REPLY)
        mailbox = await self.opened()
        watching, start = Watching(mailbox.live), mailbox.live.highest_modseq
        done = await ask(self.account.append("INBOX", [NewMessage(FOLDED)], replaced=(mailbox, 1)))
        self.assertEqual((list(done.uids), list(mailbox.live.uids)), ([3], [2, 3]))
        self.assertEqual({change.kind for change in watching.read()}, {ChangeKind.ARRIVED, ChangeKind.EXPUNGED})
        self.assertEqual(await ask(mailbox.vanished(start)), UidSet.of([1]))
        with self.refused(ErrorKind.EXPUNGED):
            await ask(self.account.append("INBOX", [NewMessage(PLAIN)], replaced=(mailbox, 1)))
        self.assertEqual(list(mailbox.live.uids), [2, 3])
        await ask(self.account.create("Other"))
        await ask(self.account.append("Other", [NewMessage(PLAIN)], replaced=(mailbox, 2)))
        self.assertEqual(list(mailbox.live.uids), [3])
        if self.usage_is_counted:
            self.assertEqual((await ask(self.account.usage())).messages, 2)
        watching.cursor.close()

    async def test_octets_are_exact(self) -> None:
        """What was appended comes back, octet for octet under the rule of `mail.lineends`."""
        for octets in ODD.values():
            await self.add(octets)
        mailbox = await self.opened()
        rows = await self.rows(mailbox, mailbox.live.uids, Attribute.OCTETS, Attribute.SIZE)
        for (name, octets), (_, found, size) in zip(ODD.items(), rows, strict=True):
            self.assertEqual(found, normalised(octets), name)
            self.assertEqual(size, len(found), name)

    async def test_flags_and_date(self) -> None:
        """Flags, keywords and INTERNALDATE go with the message; \\Recent is nobody's to give."""
        given = intern_flags([SEEN, DELETED, "$Forwarded", "Mixed-Case", RECENT])
        await ask(self.account.append("INBOX", [NewMessage(PLAIN, given, NOON), NewMessage(PLAIN, internaldate=0)]))
        mailbox = await self.opened()
        self.assertEqual(self.flags_of(mailbox), {1: given - {RECENT}, 2: NO_FLAGS})
        self.assertEqual(await self.rows(mailbox, [1, 2], Attribute.INTERNALDATE), [(1, NOON), (2, 0)])

    async def test_without_a_date_it_is_now(self) -> None:
        """Two messages of now have the same date or nearly, and not that of long ago."""
        await ask(self.account.append("INBOX", [NewMessage(PLAIN), NewMessage(REPLY)]))
        first, second = await self.rows(await self.opened(), [1, 2], Attribute.INTERNALDATE)
        self.assertLess(abs(first[1] - second[1]), 60)

    async def test_spooled(self) -> None:
        """A message received in pieces is the same as one given whole; each spool is one message."""
        for octets in (PLAIN, ENCODED, b"", *ODD.values()):
            spool = self.account.spool(len(octets))
            for start in range(0, len(octets), max(7, len(octets) // 50)):
                waiting = spool.write(octets[start : start + max(7, len(octets) // 50)])
                if waiting is not None:
                    await waiting
            self.assertEqual(spool.size, len(octets))
            appended = await ask(self.account.append("INBOX", [NewMessage(spool, intern_flags([SEEN]), NOON)]))
            spool.abort()
            mailbox = await self.opened()
            rows = await self.rows(mailbox, appended.uids, Attribute.OCTETS, Attribute.INTERNALDATE)
            self.assertEqual(rows, [(appended.uids[0], normalised(octets), NOON)])

    async def test_an_aborted_spool_leaves_nothing(self) -> None:
        """What was received in part is nobody's mail."""
        spool = self.account.spool(1000)
        waiting = spool.write(PLAIN)
        if waiting is not None:
            await waiting
        spool.abort()
        spool.abort()
        self.assertEqual((await ask(self.account.status("INBOX"))).messages, 0)

    async def test_sessions_are_told(self) -> None:
        """An open mailbox has the message when the answer comes, and its journal names who did it."""
        mailbox = await self.opened()
        watching, me = Watching(mailbox.live), object()
        before = mailbox.live.highest_modseq
        await ask(self.account.append("INBOX", [NewMessage(PLAIN), NewMessage(REPLY)], origin=me))
        (change,) = watching.read()
        self.assertEqual((change.kind, list(change.uids)), (ChangeKind.ARRIVED, [1, 2]))
        self.assertIs(change.origin, me)
        self.assertGreater(change.modseq, before)
        self.assertEqual(set(mailbox.live.modseqs), {change.modseq})
        self.assertGreaterEqual(watching.woken, 1)
        watching.cursor.close()

    async def test_several_at_once(self) -> None:
        """Appends that overlap get UIDs of their own."""
        answers = [self.begun(self.account.append("INBOX", [NewMessage(PLAIN)])) for _ in range(5)]
        uids = [uid for answer in answers for uid in (await answer).uids]
        self.assertEqual(sorted(uids), [1, 2, 3, 4, 5])
