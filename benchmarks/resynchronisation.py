"""What a returning client waits for: SELECT with QRESYNC after a hundred changes, in a small folder and a large one.

    python benchmarks/resynchronisation.py --sizes 1000,100000 --runs 50

It makes a Maildir of each size in a temporary folder, starts a server on them, and lets one client make a hundred
changes before each SELECT of another: flags, expunges and arrivals. What is timed is from the command to its tagged
answer; folders take turns. The changing client stays in the folder, or leaves it before (`left`).
RFC: 7162 §3.2.5
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MESSAGE = b"From: ann@example.org\r\nSubject: one of many\r\nMessage-ID: <%d@example.org>\r\n\r\nNot much.\r\n"
FLAGGED, EXPUNGED, ARRIVED = 60, 20, 20
PAUSE = 1.5
"""Seconds between the changes and the SELECT: most of what is written behind does not fall into it then."""
CONFIG = """\
[server]
hostname = "bench.example"
[storage]
maildir = "mail/{{user}}"
[users]
file = "users"
[listen]
imap = ["tcp:{port}:interface=127.0.0.1"]
"""


class Client:
    """One connection, logged in."""

    def __init__(self, port: int, user: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.says(b"LOGIN %b pass" % user.encode())
        self.says(b"ENABLE QRESYNC")
        self.uids: list[int] = []
        self.known = b""
        """UIDVALIDITY and the mod-sequence up to which it knows everything."""

    def says(self, command: bytes) -> bytes:
        """Send a command: all that comes back up to its answer, which is OK."""
        self.socket.sendall(b"a " + command + b"\r\n")
        heard = []
        while not heard or not heard[-1].startswith(b"a "):
            heard.append(self.lines.readline())
            if not heard[-1]:
                raise SystemExit("the server has gone away")
        if not heard[-1].startswith(b"a OK"):
            raise SystemExit(f"{command[:60]!r}: {heard[-1]!r}")
        return b"".join(heard)

    def learn(self) -> None:
        """Know all of INBOX, as a client does that is about to leave."""
        self.note(self.says(b"SELECT INBOX"))
        self.uids = self.found(b"ALL")
        self.says(b"UNSELECT")

    def found(self, what: bytes) -> list[int]:
        """The UIDs that a search finds."""
        found = re.search(rb"ALL ([0-9:,]+)", self.says(b"UID SEARCH RETURN (ALL) " + what))
        spans = [each.partition(b":") for each in found[1].split(b",")] if found else []
        return [uid for low, _, high in spans for uid in range(int(low), int(high or low) + 1)]

    def note(self, greeting: bytes) -> None:
        """What a SELECT says is what is known now."""
        found = [re.search(rb"\[%b (\d+)\]" % word, greeting) for word in (b"UIDVALIDITY", b"HIGHESTMODSEQ")]
        self.known = b" ".join(each[1] for each in found if each)

    def samples(self) -> bytes:
        """Sequence numbers and UIDs at distances that double from the end. RFC: 7162 §3.2.5.2"""
        places, back = [], 1
        while back <= len(self.uids):
            places.append(len(self.uids) - back)
            back *= 2
        places.reverse()
        return b"(%b %b)" % (numbers([place + 1 for place in places]), numbers([self.uids[place] for place in places]))


def plain(client: Client) -> bytes:
    """No more than the RFC asks for."""
    return b""


def with_uids(client: Client) -> bytes:
    """The UIDs that the client knows, as a range."""
    return b" 1:%d" % client.uids[-1]


def with_samples(client: Client) -> bytes:
    """These, and some pairs of numbers and UIDs."""
    return b" 1:%d " % client.uids[-1] + client.samples()


KINDS: dict[str, Callable[[Client], bytes]] = {"modseq": plain, "known UIDs": with_uids, "sequence match": with_samples}


def change(client: Client, turn: int) -> None:
    """A hundred changes, spread over the folder."""
    client.note(client.says(b"SELECT INBOX"))
    plain = client.found(b"UNFLAGGED")
    chosen = plain[:: len(plain) // (FLAGGED + EXPUNGED)]
    expunged = numbers(chosen[:: len(chosen) // EXPUNGED][:EXPUNGED])
    client.says(b"UID STORE %b +FLAGS.SILENT (\\Deleted)" % expunged)
    client.says(b"UID EXPUNGE %b" % expunged)
    if turn % 2:
        client.says(b"UID STORE %b -FLAGS.SILENT (\\Flagged)" % numbers(client.found(b"FLAGGED")))
    else:
        left = client.found(b"UNFLAGGED")
        chosen = left[:: len(left) // FLAGGED][:FLAGGED]
        client.says(b"UID STORE %b +FLAGS.SILENT (\\Flagged)" % numbers(chosen))
    messages = [MESSAGE % (turn * 1_000 + number) for number in range(ARRIVED)]
    client.says(b"APPEND INBOX" + b"".join(b" (\\Seen) {%d+}\r\n%b" % (len(each), each) for each in messages))


def numbers(some: list[int]) -> bytes:
    """As a command names them."""
    return b",".join(b"%d" % number for number in some)


def measure(
    server: Server, sizes: list[int], runs: int, left: bool, kind: str, *, pause: float
) -> dict[int, list[float]]:
    """Milliseconds of each SELECT, by size."""
    took: dict[int, list[float]] = {size: [] for size in sizes}
    pairs = {size: (Client(server.port, f"u{size}"), Client(server.port, f"u{size}")) for size in sizes}
    for turn in range(runs + 2):
        for size, (returning, changing) in pairs.items():
            returning.learn()
            change(changing, turn)
            if left:
                changing.says(b"UNSELECT")
            time.sleep(pause)
            command = b"SELECT INBOX (QRESYNC (%b%b))" % (returning.known, KINDS[kind](returning))
            begun = time.perf_counter()
            heard = returning.says(command)
            passed = time.perf_counter() - begun
            check(heard, kind)
            if turn >= 2:
                took[size].append(passed * 1000)
            returning.says(b"UNSELECT")
    return took


def check(heard: bytes, kind: str) -> None:
    """All of the hundred changes are in it; of messages that are new only if the client did not say what it knows."""
    told = len(re.findall(rb"^\* \d+ FETCH", heard, re.MULTILINE))
    vanished = re.search(rb"VANISHED \(EARLIER\) ([0-9:,]+)", heard)
    expected = FLAGGED + (ARRIVED if kind == "modseq" else 0)
    if told != expected or vanished is None or len(vanished[1].split(b",")) < EXPUNGED:
        raise SystemExit(f"{told} lines and {vanished and vanished[1]!r}")


class Server:
    """A server on Maildirs that are made for it."""

    def __init__(self, folder: Path, sizes: list[int]) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        (folder / "mailpost.toml").write_text(CONFIG.format(port=self.port))
        for size in sizes:
            add = ["user", "add", f"u{size}", "--config", "mailpost.toml", "--password-stdin"]
            subprocess.run(
                [sys.executable, "-m", "mailpost.admin.main", *add],
                input=b"pass\n",
                cwd=folder,
                stdout=subprocess.DEVNULL,
                check=True,
            )
            fill(folder / "mail" / f"u{size}", size)

    @contextmanager
    def running(self) -> Iterator[Server]:
        """The server answers until the end of the block."""
        command = [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", "mailpost"]
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--config", "mailpost.toml"], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", self.port)).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield self
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def fill(root: Path, size: int) -> None:
    """A Maildir with so many messages, all of them seen."""
    for name in ("new", "tmp", "cur"):
        (root / name).mkdir(parents=True, exist_ok=True)
    when = int(time.time()) - size
    for number in range(size):
        octets = MESSAGE % number
        file = root / "cur" / f"{when + number}.M000000P1Q{number}.bench,S={len(octets)},W={len(octets)}:2,S"
        file.write_bytes(octets)
        os.utime(file, (when + number, when + number))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: [int(each) for each in text.split(",")], default=[1_000, 100_000])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--pause", type=float, default=PAUSE, help="seconds between the changes and the SELECT")
    options = parser.parse_args()
    print("| the client gives | others in the folder | messages | median ms | p95 ms |")  # noqa: T201
    print("| --- | --- | --- | --- | --- |")  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="mailpost-bench-") as made:
        server = Server(Path(made), options.sizes)
        with server.running():
            for left in (False, True):
                for kind in KINDS:
                    for size, took in measure(
                        server, options.sizes, options.runs, left, kind, pause=options.pause
                    ).items():
                        late = statistics.quantiles(took, n=20)[-1]
                        row = (kind, "no" if left else "one", size, f"{statistics.median(took):.2f}", f"{late:.2f}")
                        print("| " + " | ".join(map(str, row)) + " |")  # noqa: T201
                        sys.stdout.flush()


if __name__ == "__main__":
    main()
