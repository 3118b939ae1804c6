"""What is on the disk before OK is said: file, directory entry, state; as the kernel sees it.

RFC: 9051 §6.3.12, §6.4.7, §6.4.8, 5321 §6.1
"""

from __future__ import annotations

import re
import shutil
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.server import MAIL, Twistd, configured, free_port
from tests.crash.actors import connected, done

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_CALLS = "fsync,fdatasync,rename,renameat,renameat2,link,linkat,write,pwrite64,writev,sendto,sendmsg"
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
MESSAGE = b"From: ann@example.org\r\nSubject: order\r\n\r\ntext\r\n"


@dataclass(frozen=True)
class Call:
    """One system call that succeeded."""

    name: str
    arguments: str


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[Twistd, Path]]:
    """A server whose system calls are written down, paths beside descriptors."""
    yield from _traced(configured(tmp_path))


def _traced(server: Twistd) -> Iterator[tuple[Twistd, Path]]:
    trace = server.folder / "trace"
    server.before = ("strace", "-D", "-f", "-y", "-s", "200", "-e", f"trace={_CALLS}", "-o", str(trace))
    with server:
        yield server, trace


@dataclass(frozen=True)
class Post:
    """A server under the same eye that takes mail, and its ports."""

    server: Twistd
    trace: Path
    lmtp: int
    submission: int


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    lmtp, submission = free_port(), free_port()
    server = configured(
        tmp_path, users=("ann", "bob"), extra=MAIL.format(lmtp=lmtp, submission=submission, queue="queue")
    )
    for each in _traced(server):
        yield Post(*each, lmtp, submission)


def stopped(server: Twistd, trace: Path) -> list[Call]:
    """Stop the server: all its calls."""
    server.stop()
    until = time.monotonic() + 10
    while not re.search(rf"^{server.process.pid} +\+\+\+", trace.read_text(errors="replace"), re.MULTILINE):
        assert time.monotonic() < until, "strace does not end"
        time.sleep(0.02)
    return calls(trace)


def calls(trace: Path) -> list[Call]:
    """The calls in the order in which they ended; one that was begun earlier counts when the kernel had done it."""
    begun: dict[str, str] = {}
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        unfinished, resumed = _UNFINISHED.match(line), _RESUMED.match(line)
        if unfinished is not None:
            begun[unfinished[1]] = unfinished[2]
            continue
        whole = f"{resumed[1]} {begun.pop(resumed[1], '')}{resumed[3]}" if resumed is not None else line
        call = _CALL.match(whole)
        if call is not None and not call[3].startswith("-"):
            found.append(Call(call[1], call[2]))
    return found


def in_order(found: list[Call], *steps: Callable[[Call], bool]) -> None:
    """Each step is found behind the one before it, and there is no OK for the client before the last."""
    at = 0
    for number, step in enumerate(steps):
        places = [place for place in range(at, len(found)) if step(found[place])]
        assert places, f"step {number} does not come:\n" + "\n".join(map(str, found[at:]))
        at = places[0] + 1
    answers = [place for place, call in enumerate(found) if steps[-1](call)]
    assert answers == [at - 1], "it is answered once, after everything else"


def synced(where: str) -> Callable[[Call], bool]:
    """A flush of a file or directory whose path matches."""
    return lambda call: call.name in ("fsync", "fdatasync") and re.search(where, call.arguments) is not None


def named(how: str, where: str) -> Callable[[Call], bool]:
    """A link or rename into a directory."""
    return lambda call: call.name.startswith(how) and re.search(where, call.arguments) is not None


def answered(text: str) -> Callable[[Call], bool]:
    """Octets for the client."""
    return lambda call: call.name in ("write", "writev", "sendto", "sendmsg") and text in call.arguments


STATE = r"mailpost-state\.sqlite3-wal>"


def test_append(traced: tuple[Twistd, Path]) -> None:
    server, trace = traced
    client = connected(server.port)
    before = len(calls(trace))
    done(client, client.append("INBOX", "", None, MESSAGE))  # type: ignore[arg-type]
    client.logout()
    in_order(
        stopped(server, trace)[before:],
        synced(r"/ann/tmp/"),
        named("rename", r"/ann/tmp>, .*/ann/cur>, "),
        synced(r"/ann/cur>"),
        synced(STATE),
        answered("APPENDUID"),
    )


@pytest.mark.parametrize(("command", "count"), [("COPY", 1), ("COPY", 3), ("MOVE", 1), ("MOVE", 3)])
def test_copy_and_move(traced: tuple[Twistd, Path], command: str, count: int) -> None:
    server, trace = traced
    client = connected(server.port)
    for _ in range(count):
        done(client, client.append("INBOX", "", None, MESSAGE))  # type: ignore[arg-type]
    done(client, client.select("INBOX"))
    before = len(calls(trace))
    done(client, client.uid(command, "1:*", "Archive"))
    client.logout()
    server.stop()
    announced = [synced(STATE)] if command == "MOVE" or count > 1 else []  # the intent, before the first link
    in_order(
        calls(trace)[before:],
        *announced,
        *[named("link", r"/ann/cur>, .*/\.Archive/cur>, ")] * count,
        synced(r"/\.Archive/cur>"),
        synced(STATE),
        answered("COPYUID"),
    )


@pytest.mark.parametrize("size", [100, 1_500_000], ids=["in memory", "in a file"])
def test_a_delivery_to_two(post: Post, size: int) -> None:
    """RFC: 2033 §4.2"""
    with smtplib.LMTP("127.0.0.1", post.lmtp, timeout=60) as client:
        client.ehlo()
        before = len(calls(post.trace))
        said = [client.mail("eve@example.net"), client.rcpt("ann"), client.rcpt("bob")]
        said += [client.data(MESSAGE + b"x" * size + b"\r\n"), client.getreply()]
    assert [code for code, _ in said] == [250] * 5
    found = stopped(post.server, post.trace)[before:]
    for user in ("ann", "bob"):
        in_order(
            found,
            synced(rf"/{user}/tmp/"),
            named("rename", rf"/{user}/tmp>, .*/{user}/cur>, "),
            synced(rf"/{user}/cur>"),
            synced(rf"/{user}/{STATE}"),
            answered(f"<{user}> Message taken"),
        )


@pytest.mark.parametrize("size", [100, 1_500_000])
def test_a_message_in_the_queue(post: Post, size: int) -> None:
    with smtplib.SMTP("127.0.0.1", post.submission, timeout=60) as client:
        client.login("ann", "pass")
        before = len(calls(post.trace))
        assert client.sendmail("ann@example.org", ["carl@example.net"], MESSAGE + b"x" * size + b"\r\n") == {}
    in_order(
        stopped(post.server, post.trace)[before:],
        *[synced(r"/queue/tmp/")] * 2,  # the message, and who gets it
        named("rename", r'/queue/tmp/[^"]*", "[^"]*/queue/[^"/]*\.message"'),
        named("rename", r'/queue/tmp/[^"]*", "[^"]*/queue/[^"/]*\.envelope"'),
        synced(r"/queue>"),
        answered("250 2.0.0 Message taken"),
    )
