"""Several sessions on one folder, the journal between them, and what is left after a restart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred

from mailpost.mail.flags import DELETED, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.mail.selected import SequenceView
from mailpost.storage.interfaces import IMailStore
from mailpost.storage.live import ChangeKind
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import Attribute, NewMessage, SpecialUse
from mailpost.testing.contract.base import NOON, ODD, PLAIN, REPLY, Contract, Watching


class SessionsContract(Contract):
    """What one session does, the others see. RFC: 3501 §5.2, 2180"""

    async def test_all_who_open_it_share_it(self) -> None:
        """One folder is one mailbox object as long as somebody has it open."""
        first, second = await self.opened(), await self.opened("inbox")
        self.assertIs(first, second)
        self.assertEqual((first.name, first.read_only), ("INBOX", False))

    async def test_the_journal_tells_everything_in_order(self) -> None:
        """Arrivals, flags and expunges, with ascending MODSEQs and who did it; a late comer hears only what follows."""
        mailbox, me, you = await self.opened(), object(), object()
        mine = Watching(mailbox.live)
        await ask(self.account.append("INBOX", [NewMessage(PLAIN)] * 3, origin=me))
        await ask(mailbox.store([1, 2], FlagChange.ADD, intern_flags([DELETED]), origin=you))
        late = Watching(mailbox.live)
        await ask(mailbox.expunge([2], origin=me))
        changes = mine.read()
        self.assertEqual(
            [(change.kind, list(change.uids), change.origin) for change in changes],
            [
                (ChangeKind.ARRIVED, [1, 2, 3], me),
                (ChangeKind.FLAGS, [1, 2], you),
                (ChangeKind.EXPUNGED, [2], me),
            ],
        )
        modseqs = [change.modseq for change in changes]
        self.assertEqual(modseqs, sorted(set(modseqs)))
        self.assertEqual(late.read(), changes[2:])
        self.assertEqual((mine.read(), late.cursor.behind), ([], False))
        mine.cursor.close()
        late.cursor.close()

    async def test_sequence_numbers_of_two_sessions(self) -> None:
        """Each session counts what it has been told of."""
        await self.numbered(4)
        mailbox = await self.opened()
        watching, view = Watching(mailbox.live), SequenceView(mailbox.live.uids)
        await ask(mailbox.store([2], FlagChange.ADD, intern_flags([DELETED])))
        await ask(mailbox.expunge())
        await self.numbered(1)
        for change in watching.read():
            if change.kind is ChangeKind.EXPUNGED:
                view.expunge(change.uids)
        self.assertEqual((view.exists, view.seqs([1, 2, 3, 4, 5])), (4, [1, 2, 3, 4, 0]))
        self.assertEqual((view.take_exists(), view.take_expunges()), (5, [2]))
        self.assertEqual(view.seqs([1, 3, 4, 5]), [1, 2, 3, 4])
        watching.cursor.close()

    async def test_changes_that_overlap(self) -> None:
        """Many changes asked for at once all happen, and leave the columns in order."""
        await self.numbered(20)
        await ask(self.account.create("Other"))
        mailbox = await self.opened()
        asked: list[Deferred[Any]] = [
            self.begun(mailbox.store([1, 2, 3], FlagChange.ADD, intern_flags([SEEN]))),
            self.begun(mailbox.store([2, 3, 4], FlagChange.ADD, intern_flags([FLAGGED]))),
            self.begun(mailbox.copy([1, 2], "Other")),
            self.begun(mailbox.store([1], FlagChange.REPLACE, intern_flags([DELETED]))),
            self.begun(mailbox.expunge()),
            self.begun(mailbox.copy([5, 6], "Other", move=True)),
            self.begun(self.account.append("INBOX", [NewMessage(PLAIN)])),
        ]
        for each in asked:
            await each
        flags = self.flags_of(mailbox)
        self.assertEqual(list(flags), [2, 3, 4, *range(7, 22)])
        self.assertEqual(flags[2], frozenset([SEEN, FLAGGED]))
        self.assertEqual((await ask(self.account.status("Other"))).messages, 4)
        self.consistent(mailbox)

    async def test_a_folder_closed_and_opened_again(self) -> None:
        """It is as it was left."""
        await self.add(PLAIN, REPLY, flags=[SEEN])
        mailbox = await ask(self.account.open("INBOX"))
        await ask(mailbox.store([2], FlagChange.ADD, intern_flags([FLAGGED, "$Work"])))
        before = self.flags_of(mailbox), list(mailbox.live.modseqs), mailbox.live.highest_modseq
        mailbox.release()
        again = await self.opened()
        self.assertEqual((self.flags_of(again), list(again.live.modseqs), again.live.highest_modseq), before)

    async def test_a_quiet_refresh_tells_nothing(self) -> None:
        """When no other program did anything there is nothing in the journal."""
        await self.numbered(3)
        mailbox = await self.opened()
        await ask(mailbox.store([1], FlagChange.ADD, intern_flags([SEEN])))
        watching = Watching(mailbox.live)
        for _ in range(3):
            await ask(mailbox.refresh())
        self.assertEqual((watching.read(), watching.woken), ([], 0))
        watching.cursor.close()


class PersistenceContract(Contract):
    """For stores that keep mail: everything is there after a restart."""

    @abstractmethod
    def reopen(self, store: IMailStore) -> IMailStore | Awaitable[IMailStore]:
        """A store over the same mail as this one, which has been closed."""

    async def restart(self) -> None:
        """Close the store and open it again."""
        await self.give_back()
        self.store = await ask(self.reopen(self.store))
        self.account = await ask(self.store.account("ann"))

    async def test_everything_is_kept(self) -> None:
        """Folders, special uses, subscriptions, messages, flags, dates, UIDs and MODSEQs."""
        await ask(self.account.create("Work/Old stuff", SpecialUse.ALL))
        await ask(self.account.create("Gone/below"))
        await ask(self.account.delete("Gone"))
        await ask(self.account.subscribe("Work", True))
        await ask(self.account.subscribe("INBOX", False))
        await self.add(PLAIN, REPLY, *ODD.values(), flags=[SEEN, "$Work", "Mixed"])
        mailbox = await self.opened()
        await ask(mailbox.copy([1, 2], "Work/Old stuff"))
        await ask(mailbox.store([1, 3], FlagChange.REPLACE, intern_flags([DELETED, "$Other"])))
        await ask(mailbox.expunge([3]))

        async def picture() -> list[object]:
            seen: list[object] = [self.account.folders(), self.account.subscriptions()]
            for name in self.names():
                box = await self.opened(name)
                rows = await self.rows(
                    box,
                    box.live.uids,
                    Attribute.OCTETS,
                    Attribute.INTERNALDATE,
                    Attribute.SIZE,
                    Attribute.ENVELOPE,
                    Attribute.BODYSTRUCTURE,
                )
                live = box.live
                seen += [name, rows, self.flags_of(box), list(live.modseqs), live.uidvalidity, live.uidnext]
                seen += [live.highest_modseq, live.mailbox_id, live.first_recent, await ask(self.account.status(name))]
            return seen

        before = await picture()
        for _ in range(2):
            await self.restart()
            after = await picture()
            for old, new in zip(before, after, strict=True):
                self.assertEqual(old, new)

    async def test_numbers_go_on(self) -> None:
        """No UID, UIDVALIDITY or MODSEQ is used twice across a restart."""
        await self.add(PLAIN, PLAIN, flags=[DELETED])
        await ask(self.account.create("Work"))
        old = (await ask(self.account.status("Work"))).uidvalidity
        mailbox = await self.opened()
        await ask(mailbox.expunge())
        highest = mailbox.live.highest_modseq
        await ask(self.account.delete("Work"))
        await self.restart()
        self.assertEqual(await self.numbered(1), [3])
        mailbox = await self.opened()
        self.assertGreater(mailbox.live.modseqs[0], highest)
        await ask(self.account.create("Work"))
        self.assertGreater((await ask(self.account.status("Work"))).uidvalidity, old)

    async def test_recent_once(self) -> None:
        """Messages that a session has claimed are not recent after a restart."""
        await self.numbered(2)
        (await self.opened()).live.claim_recent()
        await self.restart()
        await self.numbered(1)
        self.assertEqual((await ask(self.account.status("INBOX"))).recent, 1)
        self.assertEqual((await ask(self.account.append("INBOX", [NewMessage(PLAIN, internaldate=NOON)]))).uids[0], 4)
