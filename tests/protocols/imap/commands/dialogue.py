"""Clients on a store in memory, without sockets: each runs commands through the table as a session does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailpost.mail.errors import MailError
from mailpost.mail.flags import intern_flags
from mailpost.protocols.imap.commands.context import Completed, State, utf8_names
from mailpost.protocols.imap.commands.table import COMMANDS, Reports
from mailpost.protocols.imap.selected import SelectedMailbox
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.storage.memory import MemoryAccount, MemoryStore
from mailpost.storage.records import NewMessage
from mailpost.wire.imap.codes import code_of
from mailpost.wire.imap.commands import ParseError, parse
from mailpost.wire.imap.decoder import CommandLine, ContinuationDue, Decoder, LiteralData, LiteralOffered
from mailpost.wire.imap.structures import summarise

SPECS = {spec.name: spec for spec in COMMANDS}

MESSAGE = b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: Number %d\r\n\r\nBody of %d\r\n"


def account(messages: int = 0, folder: str = "INBOX", *flags: str) -> MemoryAccount:
    """An account whose folder has some messages with these flags."""
    made = MemoryStore(summarise, default_folders={}, clock=lambda: 1_000_000_000.0).account("ann")
    add(made, [MESSAGE % (n, n) for n in range(1, messages + 1)], folder, *flags)
    return made


def add(to: MemoryAccount, messages: Sequence[bytes], folder: str = "INBOX", *flags: str) -> None:
    """Deliver messages."""
    if messages:
        to.append(folder, [NewMessage(octets, intern_flags(flags), 1_000_000_000) for octets in messages])


class Client:
    """A session with its client: the `Context` of the commands under test."""

    def __init__(self, of: Any, select: str = "", settings: ImapSettings | None = None) -> None:
        self.account = of
        self.settings = settings or ImapSettings()
        self.clock = Clock()
        self.tag = b"a"
        self.selected: SelectedMailbox | None = None
        self.enabled: set[str] = set()
        self.streamed: list[Any] = []
        self.goodbye = b""
        self.drains = 0
        self.done = 0, 0
        self._out: list[bytes] = []
        self._line: Deferred[bytes] | None = None
        self._decoder = Decoder()
        if select:
            assert self.says(f"SELECT {select}").endswith(b"completed\r\n")

    # -- the client

    def begins(self, command: str | bytes) -> Deferred[None]:
        """Send a command; fires when it has been answered."""
        octets = command.encode() if isinstance(command, str) else command
        self._decoder.feed(b"a " + octets + b"\r\n")
        return Deferred.fromCoroutine(self._run())

    def says(self, command: str | bytes) -> bytes:
        """Send a command: all that came back."""
        failures: list[Failure] = []
        answered = self.begins(command).addErrback(failures.append)
        assert answered.called, "not answered in the same turn"
        for failure in failures:
            failure.raiseException()
        return self.heard()

    def lines(self, command: str | bytes) -> list[bytes]:
        """The same in lines; good where there are no literals."""
        return self.says(command).split(b"\r\n")[:-1]

    def heard(self) -> bytes:
        """What has come since the last time."""
        heard = b"".join(self._out)
        self._out.clear()
        return heard

    def types(self, line: bytes) -> None:
        """Send a line that is no command."""
        waiting, self._line = self._line, None
        assert waiting is not None, "nobody waits for a line"
        waiting.callback(line)

    # -- the session

    async def _run(self) -> None:
        while (event := self._decoder.next_event()) is not None:
            try:
                match event:
                    case CommandLine():
                        await self._command(event)
                        self.streamed.clear()
                    case LiteralOffered(size, _, _, so_far):
                        request = parse(so_far, utf8_names(self))
                        policy = SPECS[request.name].literals
                        assert policy is not None
                        self.streamed.append(await policy(self, request.command, size))
                        self._decoder.accept()
                    case LiteralData(octets):
                        self.streamed[-1].write(octets)
                    case ContinuationDue():
                        pass
                    case _:
                        raise AssertionError(event)
            except MailError as error:
                self.write(b"a NO [%b] %b\r\n" % (code_of(error), error.text.encode()))
                self._refuse(event)
            except ParseError as error:
                self._refuse(event)
                self.write(b"a BAD %b%b\r\n" % (b"[%b] " % error.code if error.code else b"", error.text.encode()))

    def _refuse(self, event: object) -> None:
        if isinstance(event, LiteralOffered):
            self._decoder.refuse()

    async def _command(self, line: CommandLine) -> None:
        request = parse(line, utf8_names(self))
        spec = SPECS[request.name]
        assert self.state in spec.states, "not in this state"
        done = await spec.handler(self, request.command) or Completed()
        if spec.reports is not Reports.NOTHING:
            await self.report_changes(line.text.split()[1].upper() == b"UID" or spec.reports is Reports.ALL)
        code = b"[%b] " % done.code if done.code else b""
        text = done.text or request.name.encode() + b" completed"
        self.write(b"a %b %b%b\r\n" % (b"OK" if done.ok else b"NO", code, text))

    # -- Context

    @property
    def state(self) -> State:
        return State.SELECTED if self.selected else State.AUTHENTICATED

    def write(self, data: bytes | Sequence[bytes]) -> None:
        self._out += [data] if isinstance(data, bytes) else data

    async def drained(self) -> None:
        self.drains += 1
        assert not self._out or self._out[-1].endswith(b"\r\n"), "something may be said here: lines must be whole"

    def progress(self, done: int, goal: int) -> None:
        self.done = done, goal

    def continuation(self, text: bytes) -> None:
        self.write(b"+ " + text + b"\r\n")

    def client_line(self) -> Deferred[bytes]:
        self._line = Deferred()
        return self._line

    async def report_changes(self, expunges_allowed: bool) -> None:
        if self.selected is None:
            return
        await self.selected.refresh()
        if self.selected.gone:
            self.goodbye = b"gone"
            return
        self.write(self.selected.report_changes(expunges_allowed))

    def select(self, selected: SelectedMailbox) -> None:
        self.selected = selected

    def deselect(self) -> None:
        if self.selected is not None:
            self.selected.release()
            self.selected = None


def numbers(answer: bytes, what: bytes) -> list[int]:
    """The numbers n of all lines `* n WHAT`."""
    return [int(n) for n in re.findall(rb"^\* (\d+) %b\b" % what, answer, re.MULTILINE)]
