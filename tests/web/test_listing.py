"""A window of a list."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailpost.mail.errors import ErrorKind, IncompleteError, MailError
from mailpost.mail.flags import FLAGGED, SEEN
from mailpost.service.stores import memory_store
from mailpost.storage.records import NewMessage
from mailpost.web.listing import MOST_ROWS, Searches, unwired, window


def message(number: int, more: str = "") -> NewMessage:
    head = f"From: Ann {number} <ann@example.org>\r\nTo: bob@example.org\r\nSubject: S{number}\r\n{more}"
    return NewMessage(
        f"{head}\r\nText {number}.\r\n".encode(), frozenset({SEEN, FLAGGED} if number % 2 else ()), 1000 + number
    )


class ListingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.account = memory_store().account("ann")
        self.account.append("INBOX", [message(number) for number in range(1, 301)])
        self.box = self.account.open("INBOX")

    def window(self, start: int, count: int, *places: int, query: str = "") -> Any:
        async def ask() -> Any:
            uids = await Searches().uids("ann", self.box, query)
            return await window(self.box, uids, start, count, places)

        return self.successResultOf(Deferred.fromCoroutine(ask()))

    def uids(self, *asked: int, query: str = "") -> list[int]:
        return [row["uid"] for row in self.window(*asked, query=query)["rows"]]

    def test_the_newest_come_first(self) -> None:
        told = self.window(0, 2)
        self.assertEqual((told["total"], told["unseen"], told["start"]), (300, 150, 0))
        first, second = told["rows"]
        self.assertEqual((first["uid"], second["uid"]), (300, 299))
        self.assertEqual(first["from"], [{"name": "Ann 300", "address": "ann@example.org"}])
        self.assertEqual((first["subject"], first["preview"], first["arrived"]), ("S300", "Text 300.", 1300))
        self.assertEqual((first["seen"], first["flagged"]), (False, False))
        self.assertEqual((second["seen"], second["flagged"]), (True, True))

    def test_windows(self) -> None:
        self.assertEqual(self.uids(298, 50), [2, 1])
        self.assertEqual(self.uids(299, 50), [1])
        self.assertEqual(self.uids(300, 50), [])
        self.assertEqual(self.uids(-5, 1), [300])
        self.assertEqual(self.uids(10, -1), [])
        self.assertEqual(self.uids(10**12, 5), [])
        self.assertEqual(len(self.uids(0, 10**9)), MOST_ROWS)

    def test_places(self) -> None:
        self.assertEqual(self.window(0, 1, 300, 1, 301, 0)["places"], {300: 0, 1: 299, 301: -1, 0: -1})

    def test_searching(self) -> None:
        self.assertEqual(self.uids(0, 5, query='"Text 29" s29'), [299, 298, 297, 296, 295])
        self.assertEqual(self.window(0, 1, 29, query="s29")["places"], {29: 10})
        self.assertEqual(self.uids(0, 5, query="nothing"), [])
        self.assertEqual(self.uids(0, 1, query=' "" '), [300])

    def test_a_search_is_asked_once_until_something_changes(self) -> None:
        asked: list[object] = []
        search = self.box.search
        self.patch(self.box, "search", lambda key: (asked.append(key), search(key))[1])
        searches = Searches()

        def found() -> int:
            return len(self.successResultOf(Deferred.fromCoroutine(searches.uids("ann", self.box, "S30"))))

        self.assertEqual((found(), found(), len(asked)), (2, 2, 1))
        self.account.append("INBOX", [message(30)])
        self.assertEqual((found(), len(asked)), (3, 2))
        for number in range(40):
            self.successResultOf(Deferred.fromCoroutine(searches.uids("ann", self.box, f"w{number}")))
        self.assertEqual((found(), len(asked)), (3, 43))

    def test_messages_that_cannot_be_read_are_passed_over(self) -> None:
        def search(key: object) -> None:
            raise IncompleteError(MailError(ErrorKind.CORRUPT, "one cannot be read"), [3])

        self.patch(self.box, "search", search)
        self.assertEqual(self.uids(0, 5, query="x"), [3])

    def test_a_message_that_goes_meanwhile_keeps_its_place(self) -> None:
        uids = list(self.box.live.uids)
        self.box.remove([299])
        told = self.successResultOf(Deferred.fromCoroutine(window(self.box, uids, 0, 3, [])))
        self.assertEqual([row.get("gone", False) for row in told["rows"]], [False, True, False])

    def test_what_has_attachments(self) -> None:
        self.account.append("INBOX", [message(1, "Content-Type: multipart/mixed; boundary=a\r\n"), message(2)])
        self.assertEqual([row["attached"] for row in self.window(0, 2)["rows"]], [False, True])


def test_strings_of_the_wire() -> None:
    assert unwired(b'"a \\"b\\" \\\\"') == 'a "b" \\'
    assert unwired(b"{6}\r\nGr\xc3\xbc\xc3\x9f") == "Grüß"
    assert unwired(b"~{3}\r\na\nb") == "a\nb"
    assert unwired(b"NIL") == unwired(b"") == unwired(b'""') == ""
