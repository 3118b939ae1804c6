"""A thousand clients that send an octet now and then take nothing from one that is quick."""

from __future__ import annotations

import poplib
import resource
import smtplib
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.acceptance.server import configured, free_port

SLOW = 1000
PAUSE = 0.02
"""Seconds between two octets of each of them, at the least."""
QUICK_SECONDS = 2
"""So long, the quick client does something again and again."""
LEAST_OCTETS = 10
"""So much has come from each slow one meanwhile."""
MOST_TIMES = 5
"""So many times as long as without them, by the median, may it take."""
MOST_SECONDS = 0.1
"""What is below it is quick enough anyway: a few milliseconds at leisure, up to forty where others take both CPUs."""
_CONFIG = """\
lmtp = ["tcp:{lmtp}:interface=127.0.0.1"]
pop3 = ["tcp:{pop3}:interface=127.0.0.1"]
submission = ["tcp:{submission}:interface=127.0.0.1"]
[recipients]
domains = ["example.org"]
[limits]
connections_per_address = 2000
"""
_MESSAGE = b"From: ann@example.org\r\nSubject: quick\r\n\r\ntext\r\n"

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[dict[str, int]]:
    """A server: its ports by protocol."""
    ports = {protocol: free_port() for protocol in ("lmtp", "pop3", "submission")}
    server = configured(tmp_path, extra=_CONFIG.format(**ports))
    server.before = ("prlimit", "--nofile=8192:8192")
    with server:
        yield ports


# ------------------------------------------------------------------------------------------ quick ones


@contextmanager
def delivering(ports: dict[str, int]) -> Iterator[Callable[[], None]]:
    with smtplib.LMTP("127.0.0.1", ports["lmtp"], timeout=60) as client:

        def deliver() -> None:
            assert client.sendmail("a@b", ["ann@example.org"], _MESSAGE) == {}

        yield deliver


@contextmanager
def submitting(ports: dict[str, int]) -> Iterator[Callable[[], None]]:
    with smtplib.SMTP("127.0.0.1", ports["submission"], timeout=60) as client:
        client.login("ann", "pass")

        def submit() -> None:
            assert client.sendmail("ann@example.org", ["ann@example.org"], _MESSAGE) == {}

        yield submit


@contextmanager
def downloading(ports: dict[str, int]) -> Iterator[Callable[[], None]]:
    with delivering(ports) as deliver:
        deliver()
    client = poplib.POP3("127.0.0.1", ports["pop3"], timeout=60)
    client.user("ann")
    client.pass_("pass")

    def download() -> None:
        for _ in range(10):
            assert b"Subject: quick" in client.retr(1)[1]

    yield download
    client.quit()


# ------------------------------------------------------------------------------------------ slow ones


@dataclass(frozen=True)
class Slow:
    """What one of many clients has said already, and what it says octet by octet."""

    at_once: bytes
    octets: bytes


_IN_A_MESSAGE = Slow(
    b"LHLO slow\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n", b"Subject: slow\r\n" * 500
)
_IN_A_LINE = Slow(b"", b"LHLO slow" * 500)
_IN_A_SHORT_COMMAND = Slow(b"", b"NOOP\r\nRSET\r\n" * 500)
_BEFORE_EHLO = Slow(b"", b"EHLO slow\r\n" * 500)
_IN_A_LOGIN = Slow(b"EHLO slow\r\nAUTH PLAIN\r\n", b"AGFubgBwYXNz" * 500)
_IN_A_USER = Slow(b"", b"USER " + b"s" * 5000)
_IN_CAPA = Slow(b"", b"CAPA\r\n" * 500)
_IN_A_PASSWORD = Slow(b"USER ann\r\n", b"PASS " + b"s" * 5000)


@contextmanager
def slow_clients(port: int, kinds: list[Slow]) -> Iterator[Callable[[], None]]:
    """A thousand of them, of each kind as many; what is given stops them, and checks that they were slow to the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    done = Event()
    rounds = 0
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        slow = [
            (stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)), kinds[at % len(kinds)])
            for at in range(SLOW)
        ]
        for client, kind in slow:
            client.sendall(kind.at_once)

        def trickle() -> None:
            nonlocal rounds
            while not done.wait(PAUSE):
                for client, kind in slow:
                    client.send(kind.octets[rounds : rounds + 1])
                rounds += 1

        thread = Thread(target=trickle)

        def stop() -> None:
            assert thread.is_alive(), "they were slow to the end"
            done.set()
            thread.join()
            assert LEAST_OCTETS <= rounds <= min(len(kind.octets) for kind in kinds)
            assert all(_is_open(client) for client, _ in slow)

        thread.start()
        stack.callback(thread.join)
        stack.callback(done.set)
        yield stop


def _is_open(client: socket.socket) -> bool:
    """Whether the server has not hung up."""
    client.setblocking(False)
    try:
        while client.recv(1 << 16):
            pass
    except BlockingIOError:
        return True
    return False


def median(act: Callable[[], None]) -> float:
    """Seconds that it takes."""
    times = []
    end = time.monotonic() + QUICK_SECONDS
    while (start := time.monotonic()) < end:
        act()
        times.append(time.monotonic() - start)
    return statistics.median(times)


@pytest.mark.parametrize(
    ("protocol", "quick", "kinds"),
    [
        ("lmtp", delivering, [_IN_A_MESSAGE, _IN_A_LINE, _IN_A_SHORT_COMMAND]),
        ("submission", submitting, [_BEFORE_EHLO, _IN_A_LOGIN]),
        ("pop3", downloading, [_IN_A_USER, _IN_CAPA, _IN_A_PASSWORD]),
    ],
    ids=["lmtp", "submission", "pop3"],
)
def test_slow_clients_hold_up_nobody(
    ports: dict[str, int],
    protocol: str,
    quick: Callable[[dict[str, int]], AbstractContextManager[Callable[[], None]]],
    kinds: list[Slow],
) -> None:
    with quick(ports) as act:
        alone = median(act)
    with slow_clients(ports[protocol], kinds) as stop:
        with quick(ports) as act:  # it connects, and logs in, while they are there
            among_them = median(act)
        stop()
    assert among_them < max(MOST_TIMES * alone, MOST_SECONDS), f"{alone} s without them"


def test_a_client_that_never_ends_a_line_or_a_message_takes_no_memory(ports: dict[str, int], tmp_path: Path) -> None:
    def resident() -> int:
        pids = [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/cwd") if _is(each, tmp_path)]
        return sum(
            int(line.split()[1])
            for pid in pids
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )

    before = resident()
    assert before > 10_000
    piece = b"x" * (1 << 20)
    for head in (b"", b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n"):
        with socket.create_connection(("127.0.0.1", ports["lmtp"]), timeout=60) as client:
            client.sendall(head)
            for _ in range(150):
                client.sendall(piece)
            assert resident() - before < 80_000, "KiB"


def _is(link: Path, folder: Path) -> bool:
    try:
        return link.resolve(strict=True) == folder
    except OSError:
        return False
