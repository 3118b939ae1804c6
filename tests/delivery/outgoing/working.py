"""A queue that works on a Clock, with a scripted smarthost and a store in memory for its reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailpost.delivery.outgoing.files import QueueFiles
from mailpost.delivery.outgoing.queue import OutgoingQueue
from mailpost.delivery.outgoing.receiver import QueueReceiver
from mailpost.delivery.outgoing.reports import Reports
from mailpost.delivery.outgoing.schedule import Schedule
from mailpost.delivery.outgoing.smarthost import Security, Smarthost
from mailpost.mail.transport import Client, ForwardPath, ReversePath
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.offload import settled
from mailpost.wire.imap.structures import summarise
from tests.delivery.outgoing.smarthost import FakeEndpoint, Script, at_once
from tests.delivery.post import mail_of, receiver

START = 1_000_000_000.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
MESSAGE = b"From: ann@example.org\r\nSubject: hello\r\n\r\ntext\r\n"
ANN = Client("ESMTPSA", "192.0.2.1", "laptop", "ann")
SENDER = ReversePath("ann@example.org")


class World:
    """All of it; time passes only in `pass_by`."""

    def __init__(self, folder: Path, script: Script | None = None, **more: Any) -> None:
        self.script = script or Script()
        self.clock = Clock()
        self.clock.advance(START)
        self.folder = folder
        self.store = MemoryStore(summarise, clock=self.clock.seconds)
        self.local = receiver(self.store, "ann", "bob")
        self.endpoint = FakeEndpoint(self.script, self.clock)
        self.schedule = Schedule(**more)
        self.run: Any = at_once
        self.begin()

    def begin(self) -> None:
        """A process starts."""
        self.files = QueueFiles(self.folder)
        smarthost = Smarthost(
            self.clock, self.endpoint, "smtp.example", "mail.example.org", Security.NONE, None, at_once
        )
        self.reports = Reports("mail.example.org", self.local, at_once, self.clock.seconds, lambda: self.receiver)
        self.queue = OutgoingQueue(
            self.files,
            smarthost,
            self.reports,
            self.schedule,
            connections=2,
            clock=self.clock,
            run=self.run,
            now=self.clock.seconds,
        )
        self.receiver = QueueReceiver(self.files, at_once, self.clock.seconds, self.queue.added)
        self.queue.start()
        self.pass_by(0)

    def restart(self) -> None:
        """The process ends and another begins."""
        self.answer(self.queue.close())
        self.begin()

    def crash(self) -> None:
        """The process is no more; what it had is on the disk."""
        self.queue._looking.stop()
        self.files.end_sending()
        self.begin()

    def pass_by(self, seconds: float) -> None:
        """Time passes, second by second up to a minute, then in steps."""
        step = 1.0 if seconds <= 2 * MINUTE else seconds / 120
        until = self.clock.seconds() + seconds
        while True:
            for _ in range(40):
                self.clock.advance(0)
            if self.clock.seconds() >= until:
                return
            self.clock.advance(min(step, until - self.clock.seconds()))

    def answer(self, work: Any) -> Any:
        outcome: list[Any] = []
        Deferred.fromCoroutine(settled(work)).addBoth(outcome.append)
        for _ in range(1000):
            if outcome:
                break
            self.clock.advance(0.01)
        assert outcome, "no answer comes"
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        return outcome[0]

    def put(
        self,
        *recipients: str | ForwardPath,
        octets: bytes = MESSAGE,
        sender: ReversePath = SENDER,
        client: Client = ANN,
    ) -> str:
        """Queue a message: its name."""
        transaction = self.receiver.begin(client, sender)
        for each in recipients or ("carl@example.net",):
            transaction.add_recipient(each if isinstance(each, ForwardPath) else ForwardPath(each))
        self.answer(transaction.write(octets))
        assert self.answer(transaction.commit()) == [None] * len(transaction.recipients)
        return transaction.name

    @property
    def sent(self) -> list[list[str]]:
        """The recipients of each message that the smarthost has taken."""
        return [each.recipients for each in self.script.taken]

    def inbox(self, user: str = "ann") -> list[bytes]:
        return [octets for octets, _ in self.answer(mail_of(self.store, user))]
