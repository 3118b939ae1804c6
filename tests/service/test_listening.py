"""Listeners hear what clients and deliveries do, in order, and are in nobody's way."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from mailpost import api
from mailpost.service import listening as module
from mailpost.service.listening import AT_ONCE, CLOSING_SECONDS, MOST_WAITING, Listening

LOOPBACK = "tcp:0:interface=127.0.0.1"
HELLO = b"From: bob@example.org\r\nTo: ann@example.org\r\nSubject: hello\r\n\r\nHello!\r\n"


@implementer(api.IMailListener)
class Notes:
    def __init__(self, answer: Callable[[], Any] = lambda: None) -> None:
        self.events: list[api.Event] = []
        self._answer = answer

    def heard(self, event: api.Event) -> Any:
        self.events.append(event)
        return self._answer()


def arrived(number: int, folder: str = "INBOX", user: str = "ann") -> api.MessagesExpunged:
    return api.MessagesExpunged(user, folder, [number])


class TestServer(TestCase):
    async def session(self, store: api.IMailStore) -> tuple[list[Any], list[bytes]]:
        notes = Notes()
        bodies: list[bytes] = []

        @implementer(api.IMailListener)
        class Reader:
            async def heard(self, event: api.Event) -> None:
                if isinstance(event, api.MessageArrived) and event.way is api.Way.DELIVERED:
                    bodies.append(await event.octets())

        server = api.mail_server(
            reactor,
            store=store,
            users={"ann": "secret"},
            listen=dict.fromkeys(("imap", "pop3", "lmtp"), LOOPBACK),
            domains=["example.org"],
            listeners=[notes, Reader()],
        )
        server.startService()
        self.addCleanup(server.stopService)
        port = {name: address.port for name, address in server.addresses.items()}

        def work() -> None:
            with smtplib.LMTP("127.0.0.1", port["lmtp"], timeout=10) as client:
                assert client.sendmail("bob@example.org", ["ann@example.org"], HELLO) == {}
            with imaplib.IMAP4("127.0.0.1", port["imap"], timeout=10) as client:
                client.login("ann", "secret")
                client.create("Work")
                client.append("Work", r"(\Flagged)", None, b"Subject: draft\r\n\r\n")  # type: ignore[arg-type]
                client.select("INBOX")
                client.fetch("1", "(BODY[])")
                client.copy("1", "Work")
                client._simple_command("MOVE", "1", "Work")
                client.rename("Work", "Done")
                client.select("Done")
                client.store("1", "+FLAGS", r"(\Deleted)")
                client.expunge()
                client.close()
                client.delete("Done")
                client.append("INBOX", None, None, b"Subject: two\r\n\r\n")  # type: ignore[arg-type]
            mailbox = poplib.POP3("127.0.0.1", port["pop3"], timeout=10)
            mailbox.user("ann")
            mailbox.pass_("secret")
            mailbox.dele(1)
            mailbox.quit()
            try:
                imaplib.IMAP4("127.0.0.1", port["imap"], timeout=10).login("Eve", "guess")
            except imaplib.IMAP4.error:
                pass
            else:
                raise AssertionError("Eve is in")

        await deferToThread(work)
        for _ in range(100):
            if isinstance(notes.events[-1], api.LoginFailed) and bodies:
                break
            await deferLater(reactor, 0.02)
        return notes.events, bodies

    async def test_everything_is_told(self) -> None:
        events, bodies = await self.session(api.memory_store())
        self.assertEqual(len(bodies), 1)
        self.assertTrue(bodies[0].endswith(HELLO))
        told = [
            (event.folder, event.uid, event.way.value, sorted(event.flags))
            if isinstance(event, api.MessageArrived)
            else event
            for event in events
        ]
        seen, deleted = frozenset({"\\Seen"}), frozenset({"\\Flagged", "\\Deleted"})
        in_folders = [event for event in told if not isinstance(event, api.LoggedIn | api.LoginFailed)]

        def of(*folders: str) -> list[Any]:
            return [
                event for event in in_folders if (event[0] if isinstance(event, tuple) else event.folder) in folders
            ]

        self.assertEqual(
            of("INBOX"),
            [
                ("INBOX", 1, "delivered", []),
                api.FlagsChanged("ann", "INBOX", {1: seen}),
                api.MessagesExpunged("ann", "INBOX", [1]),
                ("INBOX", 2, "appended", []),
                api.MessagesExpunged("ann", "INBOX", [2]),
            ],
        )
        self.assertEqual(
            of("Work"),
            [
                api.FolderCreated("ann", "Work"),
                ("Work", 1, "appended", ["\\Flagged"]),
                api.MessagesCopied("ann", "Work", [2], "INBOX", [1], False),
                api.MessagesCopied("ann", "Work", [3], "INBOX", [1], True),
            ],
        )
        self.assertEqual(
            of("Done"),
            [
                api.FolderRenamed("ann", "Done", "Work"),
                api.FlagsChanged("ann", "Done", {1: deleted}),
                api.MessagesExpunged("ann", "Done", [1]),
                api.FolderDeleted("ann", "Done"),
            ],
        )
        logins = [event for event in told if isinstance(event, api.LoggedIn | api.LoginFailed)]
        self.assertEqual(
            logins,
            [
                api.LoggedIn("ann", "IMAP", "127.0.0.1"),
                api.LoggedIn("ann", "POP3", "127.0.0.1"),
                api.LoginFailed("Eve", "IMAP", "127.0.0.1"),
            ],
        )

    async def test_a_listener_that_takes_for_ever_or_fails_delays_nobody(self) -> None:
        broken, stuck = Notes(lambda: 1 / 0), Notes(Deferred)
        server = api.mail_server(
            reactor,
            store=api.memory_store(),
            users={"ann": "secret"},
            listen={"lmtp": LOOPBACK},
            domains=["example.org"],
            listeners=[broken, stuck],
        )
        server.startService()

        def deliver() -> None:
            with smtplib.LMTP("127.0.0.1", server.addresses["lmtp"].port, timeout=10) as client:
                for _ in range(5):
                    assert client.sendmail("bob@example.org", ["ann@example.org"], HELLO) == {}

        await deferToThread(deliver)
        self.assertEqual((len(broken.events), len(stuck.events)), (5, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 5)
        self.patch(module, "CLOSING_SECONDS", 0.1)
        await server.stopService()
        self.assertEqual(len(stuck.events), 1)


class TestQueue(SynchronousTestCase):
    def listening(self, listener: Any) -> tuple[Listening, Clock]:
        clock = Clock()
        return Listening([listener], clock), clock

    def test_it_is_told_in_a_later_turn(self) -> None:
        notes = Notes()
        listening, clock = self.listening(notes)
        listening.tell(arrived(1))
        self.assertEqual(notes.events, [])
        clock.advance(0)
        self.assertEqual(notes.events, [arrived(1)])

    def test_the_order_in_a_folder_is_kept_and_one_holds_up_no_other(self) -> None:
        answers: list[Deferred[None]] = []

        def answer() -> Deferred[None]:
            answers.append(Deferred())
            return answers[-1]

        notes = Notes(answer)
        listening, clock = self.listening(notes)
        for number in range(3):
            for folder in ("A", "B"):
                listening.tell(arrived(number, folder))
                clock.advance(0)
        self.assertEqual(notes.events, [arrived(0, "A"), arrived(0, "B")])
        answers[1].callback(None)
        self.assertEqual(notes.events[2:], [arrived(1, "B")])
        answers[2].callback(None)
        answers[0].callback(None)
        self.assertEqual(notes.events[3:], [arrived(2, "B"), arrived(1, "A")])

    def test_folders_have_their_turns(self) -> None:
        notes = Notes()
        listening, clock = self.listening(notes)
        for folder in ("A", "A", "A", "B"):
            listening.tell(arrived(len(folder), folder))
        clock.advance(0)
        self.assertEqual([event.folder for event in notes.events], ["A", "B", "A", "A"])  # type: ignore[union-attr]

    def test_so_many_folders_at_once_and_no_more(self) -> None:
        notes = Notes(Deferred)
        listening, clock = self.listening(notes)
        for number in range(AT_ONCE + 3):
            listening.tell(arrived(number, f"F{number}"))
        clock.advance(0)
        self.assertEqual(len(notes.events), AT_ONCE)

    def test_what_it_cannot_keep_up_with_is_dropped(self) -> None:
        answers: list[Deferred[None]] = []

        def answer() -> Deferred[None]:
            answers.append(Deferred())
            return answers[-1]

        notes = Notes(answer)
        listening, clock = self.listening(notes)
        for number in range(MOST_WAITING + 7):
            listening.tell(arrived(number))
        clock.advance(0)
        while len(answers) <= MOST_WAITING and not answers[-1].called:
            answers[-1].callback(None)
        self.assertEqual([event.uids[0] for event in notes.events], list(range(MOST_WAITING)))  # type: ignore[union-attr]
        listening.tell(arrived(-1))
        clock.advance(0)
        self.assertEqual(notes.events[-1], arrived(-1))

    def test_the_end_waits_a_little(self) -> None:
        answers: list[Deferred[None]] = []

        def answer() -> Deferred[None]:
            answers.append(Deferred())
            return answers[-1]

        for patient in (True, False):
            notes = Notes(answer)
            listening, clock = self.listening(notes)
            listening.tell(arrived(1))
            listening.tell(arrived(2))
            closing = Deferred.fromCoroutine(listening.close())
            self.assertNoResult(closing)
            listening.tell(arrived(3))  # nobody hears of it
            if patient:
                answers[-1].callback(None)
                answers[-1].callback(None)
            else:
                clock.advance(CLOSING_SECONDS)
            self.successResultOf(closing)
            self.assertEqual(len(notes.events), 2 if patient else 1)
            self.assertEqual(clock.getDelayedCalls(), [])
