"""What every mail store promises of flags, and of messages that go."""

from __future__ import annotations

from mailpost.mail.flags import (
    DELETED,
    FLAGGED,
    NO_FLAGS,
    RECENT,
    SEEN,
    SYSTEM_FLAGS,
    FlagChange,
    intern_flags,
)
from mailpost.mail.uidset import UidSet
from mailpost.storage.live import ChangeKind
from mailpost.storage.offload import settled as ask
from mailpost.testing.contract.base import PLAIN, Contract, Watching


class FlagsContract(Contract):
    """STORE, with and without UNCHANGEDSINCE. RFC: 3501 §6.4.6, 7162 §3.1.3"""

    async def test_all_changes(self) -> None:
        """Replace, add and remove, system flags and keywords, many at once."""
        await self.numbered(3)
        mailbox = await self.opened()
        seen, work = intern_flags([SEEN, "$Work"]), intern_flags(["$Work"])
        stored = await ask(mailbox.store([1, 2], FlagChange.ADD, seen))
        self.assertEqual((list(stored.changed), list(stored.refused)), ([1, 2], []))
        await ask(mailbox.store([2, 3], FlagChange.REMOVE, work))
        await ask(mailbox.store([3], FlagChange.REPLACE, intern_flags(SYSTEM_FLAGS)))
        await ask(mailbox.store([1], FlagChange.REPLACE, NO_FLAGS))
        self.assertEqual(self.flags_of(mailbox), {1: NO_FLAGS, 2: frozenset([SEEN]), 3: frozenset(SYSTEM_FLAGS)})
        self.consistent(mailbox)

    async def test_only_what_differs_is_a_change(self) -> None:
        """Messages that had the flags already keep their MODSEQ and are not in the journal."""
        await self.numbered(3)
        mailbox = await self.opened()
        await ask(mailbox.store([2], FlagChange.ADD, intern_flags([SEEN])))
        before, watching, me = list(mailbox.live.modseqs), Watching(mailbox.live), object()
        stored = await ask(mailbox.store([1, 2, 3], FlagChange.ADD, intern_flags([SEEN]), origin=me))
        self.assertEqual(list(stored.changed), [1, 3])
        (change,) = watching.read()
        self.assertEqual((change.kind, list(change.uids)), (ChangeKind.FLAGS, [1, 3]))
        self.assertIs(change.origin, me)
        self.assertGreater(change.modseq, max(before))
        self.assertEqual(list(mailbox.live.modseqs), [change.modseq, before[1], change.modseq])
        self.assertEqual(mailbox.live.highest_modseq, change.modseq)
        stored = await ask(mailbox.store([1, 2, 3], FlagChange.ADD, intern_flags([SEEN])))
        self.assertEqual((list(stored.changed), watching.read()), ([], []))
        watching.cursor.close()

    async def test_unchanged_since(self) -> None:
        """Messages with a higher MODSEQ are left alone and named."""
        await self.numbered(3)
        mailbox = await self.opened()
        mark = mailbox.live.highest_modseq
        await ask(mailbox.store([2], FlagChange.ADD, intern_flags([FLAGGED])))
        stored = await ask(mailbox.store([1, 2, 3], FlagChange.ADD, intern_flags([SEEN]), unchanged_since=mark))
        self.assertEqual((list(stored.changed), list(stored.refused)), ([1, 3], [2]))
        self.assertEqual(self.flags_of(mailbox)[2], frozenset([FLAGGED]))
        stored = await ask(mailbox.store([1, 2], FlagChange.ADD, intern_flags([SEEN]), unchanged_since=0))
        self.assertEqual((list(stored.changed), list(stored.refused)), ([], [1, 2]))

    async def test_the_gone_are_passed_over(self) -> None:
        """No UID that is not there is changed or named."""
        await self.numbered(2)
        mailbox = await self.opened()
        stored = await ask(mailbox.store([2, 3, 99], FlagChange.ADD, intern_flags([SEEN]), unchanged_since=10**15))
        self.assertEqual((list(stored.changed), list(stored.refused)), ([2], []))
        stored = await ask(mailbox.store([], FlagChange.ADD, intern_flags([SEEN])))
        self.assertEqual(list(stored.changed), [])

    async def test_recent_is_never_stored(self) -> None:
        """\\Recent belongs to sessions."""
        await self.numbered(1)
        mailbox = await self.opened()
        await ask(mailbox.store([1], FlagChange.REPLACE, intern_flags([RECENT, SEEN])))
        self.assertEqual(self.flags_of(mailbox), {1: frozenset([SEEN])})

    async def test_many_keywords(self) -> None:
        """More keywords than a Maildir has letters for."""
        self.assertTrue((await self.opened()).keywords_allowed)
        await self.numbered(1)
        mailbox = await self.opened()
        names = intern_flags(f"$Label{number}" for number in range(40))
        await ask(mailbox.store([1], FlagChange.ADD, names))
        self.assertEqual(self.flags_of(mailbox), {1: names})

    async def test_many_messages(self) -> None:
        """Every second of some hundred, and then all of them."""
        uids = await self.numbered(300)
        mailbox = await self.opened()
        await ask(mailbox.store(uids[::2], FlagChange.ADD, intern_flags([SEEN])))
        stored = await ask(mailbox.store(uids, FlagChange.ADD, intern_flags([SEEN])))
        self.assertEqual(list(stored.changed), uids[1::2])
        self.assertEqual(set(mailbox.live.flags), {frozenset([SEEN])})
        self.consistent(mailbox)


class ExpungeContract(Contract):
    """EXPUNGE. RFC: 3501 §6.4.3, 4315 §2.1"""

    async def test_all_deleted(self) -> None:
        """Those with \\Deleted go, no others; sessions are told."""
        await self.numbered(4)
        mailbox = await self.opened()
        await ask(mailbox.store([1, 3], FlagChange.ADD, intern_flags([DELETED])))
        watching, me, before = Watching(mailbox.live), object(), mailbox.live.highest_modseq
        self.assertEqual(await ask(mailbox.expunge(origin=me)), [1, 3])
        self.assertEqual(list(mailbox.live.uids), [2, 4])
        (change,) = watching.read()
        self.assertEqual((change.kind, list(change.uids)), (ChangeKind.EXPUNGED, [1, 3]))
        self.assertIs(change.origin, me)
        self.assertGreater(change.modseq, before)
        self.consistent(mailbox)
        self.assertEqual((await ask(mailbox.expunge()), watching.read()), ([], []))
        watching.cursor.close()

    async def test_only_the_named(self) -> None:
        """UID EXPUNGE removes those of the named that have \\Deleted."""
        await self.numbered(4)
        mailbox = await self.opened()
        await ask(mailbox.store([1, 2, 3], FlagChange.ADD, intern_flags([DELETED])))
        self.assertEqual(await ask(mailbox.expunge([2, 3, 4, 99])), [2, 3])
        self.assertEqual(await ask(mailbox.expunge([])), [])
        self.assertEqual(list(mailbox.live.uids), [1, 4])

    async def test_uids_are_never_used_again(self) -> None:
        """Not even when the folder was empty in between."""
        await self.add(PLAIN, PLAIN, flags=[DELETED])
        mailbox = await self.opened()
        await ask(mailbox.expunge())
        self.assertEqual((await ask(self.account.status("INBOX"))).uidnext, 3)
        self.assertEqual(await self.numbered(1), [3])

    async def test_what_vanished_is_remembered(self) -> None:
        """By the mod-sequence at which it went, also where messages were moved away. RFC: 7162 §3.2.5.1"""
        await self.numbered(6)
        await ask(self.account.create("Other"))
        mailbox = await self.opened()
        start = mailbox.live.highest_modseq
        await ask(mailbox.store([2, 3], FlagChange.ADD, intern_flags([DELETED])))
        await ask(mailbox.expunge())
        later = mailbox.live.highest_modseq
        await ask(mailbox.copy([5], "Other", move=True))
        self.assertEqual(await ask(mailbox.vanished(start)), UidSet.of([2, 3, 5]))
        self.assertEqual(await ask(mailbox.vanished(later)), UidSet.of([5]))
        self.assertEqual(await ask(mailbox.vanished(mailbox.live.highest_modseq)), UidSet())
