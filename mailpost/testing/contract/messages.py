"""Messages: appending, fetching, changing flags, expunging, copying and moving."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mailpost.mail.errors import ErrorKind
from mailpost.mail.flags import (
    ANSWERED,
    DELETED,
    FLAGGED,
    NO_FLAGS,
    RECENT,
    SEEN,
    SYSTEM_FLAGS,
    FlagChange,
    intern_flags,
)
from mailpost.mail.lineends import normalised
from mailpost.mail.searchkeys import EmailId, ThreadId
from mailpost.mail.uidset import UidSet
from mailpost.storage.live import ChangeKind
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import Attribute, HeaderFields, NewMessage, SpecialUse
from mailpost.testing.contract.base import ENCODED, FOLDED, NOON, ODD, PLAIN, REPLY, Contract, Watching

Message = tuple[bytes, frozenset[str], int]


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


class FetchContract(Contract):
    """FETCH. RFC: 3501 §6.4.5"""

    async def test_attributes_in_the_order_asked_for(self) -> None:
        """Values follow the attributes, whatever their order."""
        await self.add(PLAIN, REPLY)
        mailbox = await self.opened()
        rows = await self.rows(mailbox, [1, 2], Attribute.OCTETS, Attribute.SIZE, Attribute.INTERNALDATE)
        self.assertEqual(rows, [(1, PLAIN, len(PLAIN), NOON), (2, REPLY, len(REPLY), NOON)])
        rows = await self.rows(mailbox, [2], Attribute.INTERNALDATE, Attribute.OCTETS)
        self.assertEqual(rows, [(2, NOON, REPLY)])

    async def test_structures_are_ready_for_the_wire(self) -> None:
        """ENVELOPE and BODYSTRUCTURE are parenthesised values."""
        await self.add(PLAIN, *ODD.values())
        mailbox = await self.opened()
        rows = await self.rows(mailbox, mailbox.live.uids, Attribute.ENVELOPE, Attribute.BODYSTRUCTURE)
        self.assertEqual(len(rows), 1 + len(ODD))
        for _, envelope, structure in rows:
            self.assertEqual((envelope[:1], envelope[-1:], structure[:1], structure[-1:]), (b"(", b")", b"(", b")"))
        self.assertIn(b"Lunch", rows[0][1])

    async def test_header_fields(self) -> None:
        """Fields as they stand, in their order, of any case, folded, repeated; common ones and others."""
        await self.add(FOLDED, b"\r\nno header\r\n")
        mailbox = await self.opened()
        received = HeaderFields((b"received",))
        several = HeaderFields((b"subject", b"x-empty", b"x-none"))
        rows = await self.rows(mailbox, [1, 2], received, Attribute.SIZE, several)
        self.assertEqual(
            rows,
            [
                (
                    1,
                    b"Received: one\r\n\tand more\r\nReceived: two\r\n",
                    len(FOLDED),
                    b"subject: folded\r\n over two lines\r\nX-Empty:\r\nSUBJECT: again\r\n",
                ),
                (2, b"", len(b"\r\nno header\r\n"), b""),
            ],
        )
        self.assertEqual(
            await self.rows(mailbox, [1], HeaderFields((b"subject",))),
            [(1, b"subject: folded\r\n over two lines\r\nSUBJECT: again\r\n")],
        )

    async def test_order_and_the_gone(self) -> None:
        """Rows come in the order of UIDs; the gone and the never seen have none."""
        uids = await self.numbered(6)
        mailbox = await self.opened()
        await ask(mailbox.store([2, 5], FlagChange.ADD, intern_flags([DELETED])))
        await ask(mailbox.expunge())
        for attribute in (Attribute.SIZE, Attribute.OCTETS, Attribute.ENVELOPE, HeaderFields((b"subject",))):
            rows = await self.rows(mailbox, [*uids, 7, 4_000_000_000], attribute)
            self.assertEqual([row[0] for row in rows], [1, 3, 4, 6])
        self.assertEqual(await self.rows(mailbox, [], Attribute.OCTETS), [])
        self.assertEqual(await self.rows(mailbox, [2], Attribute.OCTETS), [])

    async def test_identities(self) -> None:
        """EMAILID stays with the octets and THREADID with the conversation; the save date is the folder's own.

        RFC: 8474 §5, 8514 §3
        """
        await self.add(PLAIN, REPLY, FOLDED)
        await ask(self.account.create("Other"))
        mailbox, wanted = await self.opened(), (Attribute.EMAILID, Attribute.THREADID)
        first, second, third = await self.rows(mailbox, [1, 2, 3], *wanted)
        self.assertEqual(len({first[1], second[1], third[1]}), 3)
        self.assertEqual(first[2], second[2])
        self.assertNotEqual(first[2], third[2])
        await ask(mailbox.copy([2], "Other", move=True))
        other = await self.opened("Other")
        self.assertEqual(await self.rows(other, [1], *wanted), [(1, *second[1:])])
        self.assertEqual(await ask(mailbox.search(EmailId(third[1]))), [3])
        self.assertEqual(await ask(mailbox.search(ThreadId(first[2]))), [1])
        self.assertEqual(await ask(other.search(ThreadId(first[2]))), [1])
        ((_, saved, date),) = await self.rows(mailbox, [1], Attribute.SAVEDATE, Attribute.INTERNALDATE)
        self.assertEqual(date, NOON)
        self.assertGreater(saved, NOON)

    async def test_previews(self) -> None:
        """The first words; what is at hand is the same, or NIL, and does not change what else is told.

        RFC: 8970 §3.2, §4.1
        """
        await self.add(PLAIN, ENCODED, b"Subject: x\r\nContent-Type: image/png\r\n\r\nx\r\n")
        mailbox = await self.opened()
        lazy = await self.rows(mailbox, [1, 2, 3], Attribute.PREVIEW_AT_HAND, Attribute.INTERNALDATE)
        wanted = [b'"At noon?"', b"{14}\r\n" + "Über das Meer".encode(), b'""']
        self.assertEqual(await self.rows(mailbox, [1, 2, 3], Attribute.PREVIEW), [*zip([1, 2, 3], wanted, strict=True)])
        self.assertEqual([row[::2] for row in lazy], [(1, NOON), (2, NOON), (3, NOON)])
        for row, one in zip(lazy, wanted, strict=True):
            self.assertIn(row[1], (b"NIL", one))
        rows = await self.rows(mailbox, [1, 2, 3], Attribute.OCTETS, Attribute.PREVIEW_AT_HAND, Attribute.PREVIEW)
        self.assertEqual([row[3] for row in rows], wanted)
        for row, one in zip(rows, wanted, strict=True):
            self.assertIn(row[2], (b"NIL", one))
        await ask(self.account.create("Other"))
        await ask(mailbox.copy([1, 3], "Other"))
        rows = await self.rows(await self.opened("Other"), [1, 2], Attribute.PREVIEW)
        self.assertEqual(rows, [(1, wanted[0]), (2, wanted[2])])

    async def test_no_attributes(self) -> None:
        """Rows of nothing but UIDs."""
        await self.numbered(2)
        self.assertEqual(await self.rows(await self.opened(), [1, 2]), [(1,), (2,)])

    async def test_batches_are_bounded(self) -> None:
        """Big messages come one or a few at a time; a fetch may be given up at any point."""
        await self.add(*(b"Subject: big\r\n\r\n" + b"x" * 200_000 + b"\r\n" for _ in range(5)))
        mailbox = await self.opened()
        batches: Any = mailbox.fetch(list(mailbox.live.uids), (Attribute.OCTETS,))
        first = await anext(batches)
        self.assertLessEqual(len(first), 2)
        await batches.aclose()
        self.assertEqual(len(await self.rows(mailbox, [1, 2, 3, 4, 5], Attribute.OCTETS)), 5)

    async def test_expunged_while_fetching(self) -> None:
        """A message that goes in the middle of a fetch is passed over, or its octets are whole."""
        octets = b"Subject: big\r\n\r\n" + b"x" * 150_000 + b"\r\n"
        await self.add(*[octets] * 6, flags=[DELETED])
        mailbox = await self.opened()
        batches = mailbox.fetch(list(mailbox.live.uids), (Attribute.OCTETS,))
        rows = list(await anext(batches))
        await ask(mailbox.expunge())
        async for batch in batches:
            rows += batch
        self.assertEqual({row[1] for row in rows}, {octets})
        self.assertEqual([row[0] for row in rows], sorted({row[0] for row in rows}))


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
