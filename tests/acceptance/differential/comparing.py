"""Sessions on two servers side by side, and a report of where they differ."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.acceptance.differential.answers import Client, Literal, Pieces
from tests.acceptance.differential.known import excused
from tests.acceptance.differential.normal import Seen, View
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

    def client(self) -> Client:
        """A connection, logged in."""
        client = Client(self.host, self.port)
        answer = client.run(b"LOGIN %b %b" % (self.user.encode(), self.password.encode()))
        assert answer.status == b"OK", answer
        return client

    def capabilities(self) -> set[bytes]:
        """What it announces to who is logged in."""
        client = self.client()
        found = {
            bytes(each) for values in client.run(b"CAPABILITY").untagged for each in values if isinstance(each, bytes)
        }
        client.close()
        return found

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
    extensions: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    sessions: int = 0
    trail: list[tuple[int, Pieces]] = field(default_factory=list)
    """The commands of the last session."""

    def __str__(self) -> str:
        used = ", ".join(f"{name} {count}" for name, count in self.commands.most_common())
        of_extensions = ", ".join(f"{name} {count}" for name, count in self.extensions.most_common())
        excuses = "".join(f"\n  {count} x {name}" for name, count in self.known.most_common())
        found = "".join(f"\n{each}" for each in self.differences[:_SHOWN])
        return (
            f"{self.sessions} sessions, {self.commands.total()} commands: {used}\n"
            f"extensions: {of_extensions}\n"
            f"known differences: {self.known.total()}{excuses}\ndifferences: {len(self.differences)}{found}"
        )


def _name(command: Pieces) -> str:
    words = command[0].upper().split() if isinstance(command[0], bytes) else []
    return b" ".join(words[: 2 if words[:1] == [b"UID"] else 1]).decode("ascii", "replace")


def session(seed: int, first: Peer, second: Peer, report: Report, length: int = COMMANDS_OF_A_SESSION) -> None:
    """Run one session on both; it ends at the first difference, known or not, that leads them apart."""
    for peer in (first, second):
        peer.emptied()
    source = Sessions(seed, first.capabilities() & second.capabilities())
    clients = [(first.client(), second.client()) for _ in range(source.connections + 1)]
    views = [(View(), View()) for _ in clients]
    report.sessions += 1
    report.trail.clear()
    try:
        for step, (connection, command, kind) in enumerate(_commands(source, length)):
            report.commands[_name(command)] += 1
            if kind.isupper():
                report.extensions[kind] += 1
            report.trail.append((connection, command))
            found = _compared(command, clients[connection], views[connection])
            if found is None:
                continue
            excuses = excused(command, found.ours, found.theirs)
            if excuses is None:
                found.where = f"seed {seed} step {step} connection {connection}"
                report.differences.append(found)
                return
            report.known.update(excuse.name for excuse in excuses)
            if any(excuse.leads_apart for excuse in excuses):
                return
    finally:
        for pair in clients:
            for client in pair:
                client.close()


def _commands(source: Sessions, length: int) -> Iterator[tuple[int, Pieces, str]]:
    yield from ((connection, command, "opening") for connection, command in source.opening())
    for _ in range(length):
        yield source.command()


def _compared(command: Pieces, clients: tuple[Client, Client], views: tuple[View, View]) -> Difference | None:
    """Run a command on both. What one of them tells later is waited for: a NOOP follows where they differ."""
    answers = [client.run(*command) for client in clients]
    ours, theirs = (view.seen(command, answer) for view, answer in zip(views, answers, strict=True))
    if ours == theirs:
        return None
    for client, view, seen in zip(clients, views, (ours, theirs), strict=True):
        view.also(seen, client.run(b"NOOP"))
    if ours == theirs:
        return None
    return Difference(command, ours, theirs)


def run(first: Peer, second: Peer, seeds: Iterator[int], seconds: float) -> Report:
    """Sessions until the time is over."""
    report = Report()
    end = time.monotonic() + seconds
    for seed in seeds:
        session(seed, first, second, report)
        if time.monotonic() > end:
            break
    return report
