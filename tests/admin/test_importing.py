from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import TestCase

from mailpost.admin.importing import GROUP_MESSAGES, GROUP_OCTETS, Found, import_messages
from mailpost.mail.flags import NO_FLAGS, SEEN
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.records import Attribute
from mailpost.wire.imap.structures import summarise


def found(number: int, folder: str = "INBOX") -> Found:
    octets = b"Subject: %d\r\n\r\nText\r\n" % number
    return Found(folder, octets, frozenset({SEEN}), 1000 + number, len(octets))


class Tests(TestCase):
    def setUp(self) -> None:
        self.store = MemoryStore(summarise)
        self.account = self.store.account("ann")
        self.read = 0

    def progress(self, octets: int) -> None:
        self.read += octets

    async def octets(self, name: str) -> list[tuple[bytes, int]]:
        mailbox = self.account.open(name)
        rows = []
        async for batch in mailbox.fetch(list(mailbox.live.uids), (Attribute.OCTETS, Attribute.INTERNALDATE)):
            rows += [(octets, date) for _, octets, date in batch]
        mailbox.release()
        return rows

    async def test_a_second_run_adds_nothing_twice(self) -> None:
        messages = [found(number) for number in range(GROUP_MESSAGES * 2 + 5)]
        done = await import_messages(self.account, messages, "Old", self.progress)
        self.assertEqual(done.added, {"Old": len(messages)})
        self.assertEqual(done.known, 0)
        self.assertEqual(self.read, sum(each.read for each in messages))
        self.assertEqual(await self.octets("Old"), [(each.octets, each.internaldate) for each in messages])
        self.assertIn("Old", self.account.subscriptions())
        again = await import_messages(self.account, [*messages, found(1000)], "Old", self.progress)
        self.assertEqual(again.added, {"Old": 1})
        self.assertEqual(again.known, len(messages))
        self.assertEqual(len(await self.octets("Old")), len(messages) + 1)

    async def test_messages_that_are_twice_in_the_source_stay_so(self) -> None:
        twice = [found(1), found(2), found(1)]
        self.assertEqual((await import_messages(self.account, twice, None, self.progress)).added, {"INBOX": 3})
        self.assertEqual((await import_messages(self.account, twice, None, self.progress)).known, 3)
        more = await import_messages(self.account, [*twice, found(1)], None, self.progress)
        self.assertEqual((more.added["INBOX"], more.known), (1, 3))

    async def test_folders_keep_their_names_or_go_below_one(self) -> None:
        messages = [found(1), found(2, "A/B"), found(3, "Trash")]
        await import_messages(self.account, messages, None, self.progress)
        await import_messages(self.account, messages, "Old", self.progress)
        for name, number in [("INBOX", 1), ("A/B", 2), ("Trash", 3), ("Old", 1), ("Old/A/B", 2), ("Old/Trash", 3)]:
            self.assertEqual([octets for octets, _ in await self.octets(name)], [found(number).octets])

    async def test_groups_are_bounded_by_octets_too(self) -> None:
        big = b"x" * (GROUP_OCTETS // 2)
        asked = 0

        def messages() -> Iterator[Found]:
            nonlocal asked
            for number in range(4):
                asked += 1
                yield Found("INBOX", b"Subject: %d\r\n\r\n" % number + big, NO_FLAGS, 0, 1)

        seen: list[int] = []
        await import_messages(self.account, messages(), None, seen.append)
        self.assertEqual(seen, [2, 2])
        self.assertEqual(asked, 4)
