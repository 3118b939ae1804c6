"""What a page hears of mailboxes, without a socket."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import SEEN, FlagChange
from mailpost.service.stores import memory_store
from mailpost.storage.records import NewMessage
from mailpost.web import events
from mailpost.web.access import OpenAccess
from mailpost.web.events import LOOK, PAUSE, SIGN_OF_LIFE, Stream

MAIL = NewMessage(b"Subject: hello\r\n\r\nHello!\r\n")


class Connection:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.producer: Any = None

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def events(self) -> list[tuple[str, Any]]:
        """What has been sent since the last time."""
        sent, self.sent = self.sent, []
        found = []
        for each in sent:
            if each != b":\n\n":
                event, data = each.decode().removesuffix("\n\n").split("\n")
                found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        return found


class EventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = memory_store(default_folders={})
        self.users = {"ann": None}
        self.clock = Clock()
        self.connection = Connection()
        self.access = OpenAccess(self.store, lambda: self.users)
        self.running: Deferred[None] | None = None

    def start(self, user: str = "ann") -> list[tuple[str, Any]]:
        self.running = Deferred.fromCoroutine(Stream(self.connection, self.access, user, self.clock).run())
        return self.connection.events()

    def tearDown(self) -> None:
        if self.running is not None and not self.running.called:
            self.running.cancel()
            self.failureResultOf(self.running, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for user in self.users:
            for folder in self.store.account(user).folders():
                if folder.selectable:
                    self.assertEqual(self.store.account(user).open(folder.name).live._cursors, {})

    def heard(self, seconds: float = 0.0) -> list[tuple[str, Any]]:
        self.clock.pump([0, PAUSE, seconds, 0])
        return self.connection.events()

    def test_what_is_there_comes_first(self) -> None:
        self.store.account("ann").append("INBOX", [MAIL])
        self.store.account("ann").create("Work/Reports")
        told = dict(self.start())
        self.assertEqual(told["users"], [{"name": "ann", "unseen": 1}])
        inbox, work, reports = told["folders"]
        self.assertEqual((inbox["name"], inbox["messages"], inbox["unseen"]), ("INBOX", 1, 1))
        self.assertEqual((work["label"], work["depth"]), ("Work", 0))
        self.assertEqual((reports["name"], reports["label"], reports["depth"]), ("Work/Reports", "Reports", 1))

    def test_mail_is_told_at_once_and_once(self) -> None:
        self.start()
        self.assertEqual(self.heard(), [])
        self.store.account("ann").append("INBOX", [MAIL])
        self.assertEqual(self.connection.sent, [])  # not in the call of the one who delivers
        told = self.heard()
        self.assertEqual([event for event, _ in told], ["users", "folders", "changed"])
        self.assertEqual(told[0][1], [{"name": "ann", "unseen": 1}])
        self.assertEqual(told[2][1], {"folder": "INBOX", "arrived": [1]})
        self.assertEqual(self.heard(LOOK), [])

    def test_many_changes_are_told_as_one(self) -> None:
        self.start()
        self.store.account("ann").append("INBOX", [MAIL])
        self.clock.advance(0)
        self.connection.events()
        for _ in range(300):
            self.store.account("ann").append("INBOX", [MAIL])
        self.clock.advance(PAUSE)
        self.clock.advance(0)
        changed = [data for event, data in self.connection.events() if event == "changed"]
        self.assertEqual([data["arrived"] for data in changed], [list(range(202, 302))])

    def test_flags_and_what_is_gone(self) -> None:
        account = self.store.account("ann")
        account.append("INBOX", [MAIL, MAIL])
        self.start()
        box = account.open("INBOX")
        box.store([1], FlagChange.ADD, frozenset({SEEN}))
        self.assertEqual(dict(self.heard())["users"], [{"name": "ann", "unseen": 1}])
        box.remove([2])
        told = dict(self.heard())
        self.assertEqual(told["users"], [{"name": "ann", "unseen": 0}])
        self.assertEqual(told["changed"], {"folder": "INBOX", "arrived": []})

    def test_new_users_and_folders_are_found(self) -> None:
        self.start()
        self.users["bob"] = None
        self.store.account("bob").append("INBOX", [MAIL])
        self.store.account("ann").create("Work")
        told = dict(self.heard(LOOK))
        self.assertEqual(told["users"], [{"name": "ann", "unseen": 0}, {"name": "bob", "unseen": 1}])
        self.assertEqual([each["name"] for each in told["folders"]], ["INBOX", "Work"])
        self.store.account("bob").append("INBOX", [MAIL])
        self.assertEqual(self.heard(), [("users", [{"name": "ann", "unseen": 0}, {"name": "bob", "unseen": 2}])])

    def test_folders_that_are_deleted_renamed_and_made_again(self) -> None:
        account = self.store.account("ann")
        account.create("Work")
        account.create("Old")
        self.start()
        account.delete("Work")
        account.rename("Old", "New")
        account.append("New", [MAIL])
        self.assertEqual([each["name"] for each in dict(self.heard(LOOK))["folders"]], ["INBOX", "New"])
        account.create("Work")
        account.append("Work", [MAIL])
        self.heard(LOOK)
        account.append("Work", [MAIL])
        account.append("New", [MAIL])
        told = self.heard(LOOK)
        self.assertEqual({data["folder"] for event, data in told if event == "changed"}, {"New", "Work"})
        self.assertEqual([each["messages"] for each in dict(told)["folders"]], [0, 2, 2])

    def test_nobody_is_shown(self) -> None:
        self.users.clear()
        self.assertEqual(self.start(""), [("users", []), ("folders", [])])
        self.users["ann"] = None
        self.assertEqual(self.heard(LOOK), [("users", [{"name": "ann", "unseen": 0}])])

    def test_a_client_that_does_not_read_is_told_nothing_until_it_does(self) -> None:
        self.start()
        self.connection.producer.pauseProducing()
        for _ in range(50):
            self.store.account("ann").append("INBOX", [MAIL])
            self.clock.pump([0, LOOK])
        self.assertEqual(self.connection.sent, [])
        self.connection.producer.resumeProducing()
        self.assertEqual(dict(self.heard())["users"], [{"name": "ann", "unseen": 50}])
        self.connection.producer.stopProducing()

    def test_a_sign_of_life(self) -> None:
        self.start()
        for _ in range(int(SIGN_OF_LIFE / LOOK) + 2):
            self.clock.advance(LOOK)
        self.assertEqual(self.connection.sent, [b":\n\n"])

    def test_an_account_that_cannot_be_opened_is_told_without_numbers(self) -> None:
        account = self.store.account

        def refusing(user: str) -> Any:
            if user == "bob":
                raise MailError(ErrorKind.UNAVAILABLE, "not now")
            return account(user)

        self.users["bob"] = None
        self.patch(self.store, "account", refusing)
        self.assertEqual(dict(self.start("bob"))["users"][1], {"name": "bob", "unseen": None})
        self.assertEqual(self.heard(LOOK), [])
        self.patch(self.store, "account", account)

    def test_more_users_than_are_watched(self) -> None:
        self.patch(events, "MOST_USERS", 2)
        self.users.update(dict.fromkeys(["bob", "carla"]))
        told = dict(self.start("carla"))
        self.assertEqual([each["unseen"] for each in told["users"]], [0, 0, 0])  # carla is the one who is shown
        self.users["dan"] = None
        self.assertEqual([each["unseen"] for each in dict(self.heard(LOOK))["users"]], [0, 0, 0, None])

    def test_many_users_are_watched_by_and_by(self) -> None:
        self.users.update({f"user{number:03}": None for number in range(60)})
        numbers = [len([each for each in dict(self.start("user059"))["users"] if each["unseen"] is not None])]
        while numbers[-1] < 61:
            told = dict(self.heard())["users"]
            numbers.append(len([each for each in told if each["unseen"] is not None]))
        self.assertEqual(numbers, [26, 51, 61])  # the one who is shown is the first

    def test_a_journal_that_becomes_too_long_is_read(self) -> None:
        account = self.store.account("ann")
        self.start()
        for _ in range(5000):
            account.append("INBOX", [MAIL])
        self.assertEqual(dict(self.heard())["users"], [{"name": "ann", "unseen": 5000}])
