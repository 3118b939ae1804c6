"""Searching: every key that a store may meet, alone and combined."""

from __future__ import annotations

from datetime import date

from mailpost.mail import searchkeys as keys
from mailpost.mail.flags import DELETED, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.mail.searchkeys import Comparison, DateField, SearchKey
from mailpost.mail.uidset import UidSet
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import NewMessage
from mailpost.testing.contract.base import ENCODED, FOLDED, NOON, ODD, PLAIN, REPLY, Contract

DAY = 86_400


def on(field: DateField, comparison: Comparison, year: int, month: int, day: int) -> SearchKey:
    """A date key."""
    return keys.OnDate(field, comparison, date(year, month, day))


INTERNAL, SENT = DateField.INTERNAL, DateField.SENT
BEFORE, ON, SINCE = Comparison.BEFORE, Comparison.ON, Comparison.SINCE

# 1 PLAIN (2001-09-09), 2 REPLY (2001-09-10), 3 ENCODED (2001-09-11), 4 FOLDED (2001-09-12)
CASES: list[tuple[SearchKey, list[int]]] = [
    (keys.All(), [1, 2, 3, 4]),
    (keys.And(()), [1, 2, 3, 4]),
    (keys.Not(keys.All()), []),
    (keys.HasFlag(SEEN), [2, 3]),
    (keys.Not(keys.HasFlag(SEEN)), [1, 4]),
    (keys.HasFlag("$Work"), [3, 4]),
    (keys.HasFlag("$WORK"), [3, 4]),
    (keys.HasFlag("$None"), []),
    (keys.And((keys.HasFlag(SEEN), keys.HasFlag("$work"))), [3]),
    (keys.Or(keys.HasFlag(FLAGGED), keys.HasFlag(SEEN)), [2, 3, 4]),
    (keys.Uids(UidSet.of_ranges([(2, 3), (90, 4_294_967_295)])), [2, 3]),
    (keys.Uids(UidSet()), []),
    (keys.Header("subject", "LUNCH"), [1, 2]),
    (keys.Header("Subject", "re: lunch"), [2]),
    (keys.Header("subject", "grüsse"), [3]),
    (keys.Header("SUBJECT", "over two"), [4]),
    (keys.Header("subject", "again"), [4]),
    (keys.Header("subject", ""), [1, 2, 3, 4]),
    (keys.Header("x-empty", ""), [4]),
    (keys.Header("x-colour", ""), [2]),
    (keys.Header("x-colour", "GREEN"), [2]),
    (keys.Header("x-colour", "red"), []),
    (keys.Header("from", "ann@"), [1]),
    (keys.Header("from", "Jürgen"), [3]),
    (keys.Header("to", "example"), [1, 2]),
    (keys.Header("cc", "cleo"), [2]),
    (keys.Header("bcc", ""), []),
    (keys.Header("received", "two"), [4]),
    (keys.Header("in-reply-to", "<1@example.org>"), [2]),
    (keys.Header("message-id", "1@EXAMPLE"), [1]),
    (keys.Body("noon"), [1]),
    (keys.Body("AT "), [1, 2]),
    (keys.Body("lunch"), []),
    (keys.Body("über das meer"), [3]),
    (keys.Body("ü"), [3]),
    (keys.Text("lunch"), [1, 2]),
    (keys.Text("noon"), [1]),
    (keys.Text("cleo"), [2]),
    (keys.Text("über"), [3]),
    (keys.Text("nowhere to be found"), []),
    (on(INTERNAL, BEFORE, 2001, 9, 10), [1]),
    (on(INTERNAL, ON, 2001, 9, 10), [2]),
    (on(INTERNAL, SINCE, 2001, 9, 10), [2, 3, 4]),
    (on(SENT, ON, 2001, 9, 9), [1]),
    (on(SENT, BEFORE, 2001, 9, 10), [1]),
    (on(SENT, ON, 2001, 9, 10), [2]),
    (on(SENT, SINCE, 2001, 9, 10), [2]),
    (
        keys.Larger(len(PLAIN) - 1),
        [n for n, m in enumerate((PLAIN, REPLY, ENCODED, FOLDED), 1) if len(m) >= len(PLAIN)],
    ),
    (keys.Larger(len(PLAIN)), [n for n, m in enumerate((PLAIN, REPLY, ENCODED, FOLDED), 1) if len(m) > len(PLAIN)]),
    (keys.Smaller(len(FOLDED)), []),
    (keys.Smaller(len(FOLDED) + 1), [4]),
    (keys.And((keys.Body("at"), keys.Not(keys.HasFlag(SEEN)), keys.Header("from", "ann"))), [1]),
    (keys.Or(keys.And((keys.Text("lunch"), keys.HasFlag(SEEN))), keys.Header("x-empty", "")), [2, 4]),
    (keys.Not(keys.Or(keys.Text("lunch"), keys.Uids(UidSet.of([4])))), [3]),
]


class SearchContract(Contract):
    """SEARCH. RFC: 3501 §6.4.4, 7162 §3.1.5"""

    async def test_every_key(self) -> None:
        """Each key finds what it should, in headers and bodies whatever their encoding."""
        flags: tuple[list[str], ...] = ([], [SEEN], [SEEN, "$Work"], [FLAGGED, "$work"])
        messages = [
            NewMessage(octets, intern_flags(given), NOON + day * DAY)
            for day, (octets, given) in enumerate(zip((PLAIN, REPLY, ENCODED, FOLDED), flags, strict=True))
        ]
        await ask(self.account.append("INBOX", messages))
        mailbox = await self.opened()
        for key, expected in CASES:
            self.assertEqual(await ask(mailbox.search(key)), expected, key)

    async def test_by_modseq(self) -> None:
        """Messages that changed at a MODSEQ or later."""
        await self.numbered(3)
        mailbox = await self.opened()
        await ask(mailbox.store([2], FlagChange.ADD, intern_flags([SEEN])))
        highest = mailbox.live.highest_modseq
        self.assertEqual(await ask(mailbox.search(keys.ModSeq(1))), [1, 2, 3])
        self.assertEqual(await ask(mailbox.search(keys.ModSeq(highest))), [2])
        self.assertEqual(await ask(mailbox.search(keys.ModSeq(highest + 1))), [])

    async def test_after_changes(self) -> None:
        """What was changed, removed or added is searched as it is now."""
        await self.add(PLAIN, REPLY)
        mailbox = await self.opened()
        self.assertEqual(await ask(mailbox.search(keys.Text("lunch"))), [1, 2])
        await ask(mailbox.store([1], FlagChange.ADD, intern_flags([DELETED])))
        self.assertEqual(await ask(mailbox.search(keys.HasFlag(DELETED))), [1])
        await ask(mailbox.expunge())
        await self.add(PLAIN)
        self.assertEqual(await ask(mailbox.search(keys.Text("lunch"))), [2, 3])

    async def test_new_ones_among_those_searched_before(self) -> None:
        """What is known of some messages is not taken for what is known of others."""
        await self.numbered(3)
        mailbox = await self.opened()
        lunch = keys.Header("subject", "lunch")
        self.assertEqual(await ask(mailbox.search(lunch)), [])
        await self.add(PLAIN, PLAIN)
        three_of_them = keys.Uids(UidSet.of_ranges([(1, 1), (4, 5)]))
        self.assertEqual(await ask(mailbox.search(keys.And((three_of_them, lunch)))), [4, 5])

    async def test_broken_messages_are_searched_too(self) -> None:
        """No message stops a search."""
        await self.add(*ODD.values(), PLAIN)
        mailbox = await self.opened()
        last = mailbox.live.uids[-1]
        for key in (keys.Text("noon"), keys.Body("noon?"), keys.Header("from", "ann"), on(SENT, ON, 2001, 9, 9)):
            self.assertEqual(await ask(mailbox.search(key)), [last], key)

    async def test_an_empty_folder(self) -> None:
        """Nothing is found where nothing is."""
        mailbox = await self.opened()
        self.assertEqual(await ask(mailbox.search(keys.All())), [])
        self.assertEqual(await ask(mailbox.search(keys.Text("x"))), [])
