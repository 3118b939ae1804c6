"""Sessions on two servers side by side, and a report of where they differ."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.acceptance.differential.answers import Client, Literal, Pieces, first_of
from tests.acceptance.differential.extensions import spoken_of
from tests.acceptance.differential.keys import UNDATED, Search
from tests.acceptance.differential.known import excused
from tests.acceptance.differential.normal import Identities, Seen, View
from tests.acceptance.differential.sessions import Sessions

COMMANDS_OF_A_SESSION = 60
_SHOWN = 20


@dataclass(frozen=True)
class Peer:
    """A server, and who logs in."""

    host: str
    port: int
    user: str
    password: str

    @classmethod
    def of(cls, text: str) -> Peer:
        """From host:port:user:password."""
        host, port, user, password = text.split(":", 3)
        return cls(host, int(port), user, password)

    def connection(self) -> Client:
        """A connection, not logged in."""
        return Client(self.host, self.port, self.user, self.password)

    def client(self) -> Client:
        """A connection, logged in."""
        client = self.connection()
        answer = client.run(b"LOGIN @USER @PASSWORD")
        assert answer.status == b"OK", answer
        return client

    def capabilities(self) -> set[bytes]:
        """What it announces to who is logged in, without the size behind APPENDLIMIT."""
        client = self.client()
        (values,) = client.run(b"CAPABILITY").untagged
        client.close()
        return {
            b"APPENDLIMIT" if each.startswith(b"APPENDLIMIT=") else each
            for each in values[1:]
            if isinstance(each, bytes)
        }

    def emptied(self) -> None:
        """Delete everything but an empty INBOX."""
        client = self.client()
        client.run(b"SELECT INBOX")
        client.run(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")
        client.run(b"CLOSE")
        for word in (b"LSUB", b"LIST"):
            names = [values[-1] for values in client.run(word + b' "" *').untagged if values[0] == word]
            for name in sorted((bytes(name) for name in names if isinstance(name, bytes)), key=len, reverse=True):
                if name.upper() != b"INBOX":
                    client.run((b"UNSUBSCRIBE " if word == b"LSUB" else b"DELETE "), Literal(name))
        client.run(b"SUBSCRIBE INBOX")
        client.run(b"LOGOUT")
        client.close()


@dataclass
class Difference:
    """One command that was answered differently."""

    command: Pieces
    ours: Seen
    theirs: Seen
    where: str = ""

    def __str__(self) -> str:
        shown = " ".join(repr(each)[:200] for each in self.command)
        lines = [f"{self.where}: {shown}"]
        for name in self.ours.names() | self.theirs.names():
            ours, theirs = self.ours.get(name), self.theirs.get(name)
            if ours != theirs:
                lines += [f"  {name}:", f"    first:  {_only(ours, theirs)}", f"    second: {_only(theirs, ours)}"]
        return "\n".join([*lines, f"  {self.ours.text!r}\n  {self.theirs.text!r}"])


def _only(one: object, other: object) -> str:
    """What is in the one and not in the other."""
    if isinstance(one, dict) and isinstance(other, dict):
        return str(
            {
                key: _only(value, other.get(key)) if isinstance(value, dict) else value
                for key, value in one.items()
                if other.get(key) != value
            }
        )[:1500]
    return str(one)[:1500]


@dataclass
class Report:
    """What a run has done and found."""

    commands: Counter[str] = field(default_factory=Counter)
    capabilities: set[str] = field(default_factory=set)
    """Which both announce."""
    extensions: Counter[str] = field(default_factory=Counter)
    """Commands by the capability that they use."""
    modes: Counter[str] = field(default_factory=Counter)
    """Commands of a connection that had enabled something."""
    known: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Difference] = field(default_factory=dict)
    """One difference for each known one."""
    differences: list[Difference] = field(default_factory=list)
    sessions: int = 0
    trail: list[tuple[int, Pieces]] = field(default_factory=list)
    """The commands of the last session."""

    def count(self, command: Pieces, enabled: frozenset[bytes]) -> None:
        """Take note of what a command uses."""
        self.commands[_name(command)] += 1
        self.extensions.update(spoken_of(command))
        self.modes.update(each.decode() for each in enabled)

    def __str__(self) -> str:
        used = ", ".join(f"{name} {count}" for name, count in self.commands.most_common())
        of_extensions = ", ".join(f"{name} {count}" for name, count in self.extensions.most_common())
        modes = ", ".join(f"{name} {count}" for name, count in self.modes.most_common())
        excuses = "".join(f"\n  {count} x {name}" for name, count in self.known.most_common())
        found = "".join(f"\n{each}" for each in self.differences[:_SHOWN])
        return (
            f"{self.sessions} sessions, {self.commands.total()} commands: {used}\n"
            f"extensions: {of_extensions}\n"
            f"commands with what was enabled: {modes}\n"
            f"known differences: {self.known.total()}{excuses}\ndifferences: {len(self.differences)}{found}"
        )


def _name(command: Pieces) -> str:
    words = first_of(command).upper().split()
    return b" ".join(words[: 2 if words[:1] == [b"UID"] else 1]).decode("ascii", "replace")


_BY_UID = re.compile(rb"ENABLE .*(?:QRESYNC|UIDONLY)", re.I)
"""Commands after which messages vanish by UID."""


class Place:
    """A connection to each of two servers, which are told the same."""

    def __init__(self, first: Peer, second: Peer, identities: tuple[Identities, ...]) -> None:
        self._clients = (first.connection(), second.connection())
        self._views = tuple(View(each) for each in identities)

    @property
    def enabled(self) -> frozenset[bytes]:
        """What both have enabled."""
        return self._views[0].enabled & self._views[1].enabled

    def leave(self) -> None:
        """Close both."""
        for client in self._clients:
            client.close()

    def compared(self, command: Pieces) -> Difference | None:
        """Run a command on both. What one of them tells later is waited for: a NOOP follows where they differ."""
        before = (Seen(), Seen())
        if _BY_UID.match(first_of(command)):
            self._name(before)
        if first_of(command) == b"CLOSE":  # which removes all that is marked; Dovecot, what has been announced
            self._also(before, b"NOOP")
        answers = [client.run(*command) for client in self._clients]
        ours, theirs = (view.seen(command, answer) for view, answer in zip(self._views, answers, strict=True))
        if ours != theirs:
            self._also((ours, theirs), b"NOOP")
            if ours.status == theirs.status == b"OK" and ours.data != theirs.data:
                self._take_apart(command, (ours, theirs))
        if any(b"QRESYNC" in view.enabled for view in self._views):
            self._name((ours, theirs))
        ours.told_before(before[0])
        theirs.told_before(before[1])
        return None if ours == theirs else Difference(command, ours, theirs)

    def _name(self, both: tuple[Seen, ...]) -> None:
        """Learn the UIDs of messages that will vanish by them."""
        if numbers := max(view.unnamed() for view in self._views):
            self._also(both, b"FETCH " + numbers + b" (UID)")

    def _take_apart(self, command: Pieces, both: tuple[Seen, ...]) -> None:
        """Ask for each key of a SEARCH alone."""
        try:
            search = Search(command)
        except ValueError:
            return
        for client, view, seen in zip(self._clients, self._views, both, strict=True):
            for key in {*search.keys, UNDATED}:
                seen.keys[key] = view.found(seen, client.run(search.word + key))
            seen.together = search.put_together(seen.keys)

    def _also(self, both: tuple[Seen, ...], command: bytes) -> None:
        for client, view, seen in zip(self._clients, self._views, both, strict=True):
            view.also(seen, client.run(command))


def session(seed: int, first: Peer, second: Peer, report: Report, length: int = COMMANDS_OF_A_SESSION) -> None:
    """Run one session on both; it ends at the first difference, known or not, that leads them apart."""
    for peer in (first, second):
        peer.emptied()
    both = first.capabilities() & second.capabilities()
    report.capabilities = {each.decode().upper() for each in both}
    source = Sessions(seed, both)
    identities = tuple(Identities(b"OBJECTID" in both) for _ in (first, second))
    places = [Place(first, second, identities) for _ in range(source.connections + 1)]
    report.sessions += 1
    report.trail.clear()
    try:
        for step, (connection, command) in enumerate(_commands(source, length)):
            place = places[connection]
            report.count(command, place.enabled)
            report.trail.append((connection, command))
            for each in identities:
                each.step = step
            found = place.compared(command)
            if command == (b"LOGOUT",):
                place.leave()
                places[connection] = Place(first, second, identities)
            if found is None:
                continue
            found.where = f"seed {seed} step {step} connection {connection}"
            excuses = excused(command, found.ours, found.theirs)
            if excuses is None:
                report.differences.append(found)
                return
            report.known.update(excuse.name for excuse in excuses)
            report.examples.update((excuse.name, found) for excuse in excuses if excuse.name not in report.examples)
            if any(excuse.leads_apart for excuse in excuses) or b"SAVE" in first_of(command):
                return  # what a search has found and saved is used later
    finally:
        for place in places:
            place.leave()


def _commands(source: Sessions, length: int) -> Iterator[tuple[int, Pieces]]:
    yield from source.opening()
    for _ in range(length):
        yield source.command()


def run(first: Peer, second: Peer, seeds: Iterator[int], seconds: float) -> Report:
    """Sessions until the time is over."""
    report = Report()
    end = time.monotonic() + seconds
    for seed in seeds:
        session(seed, first, second, report)
        if time.monotonic() > end:
            break
    return report
