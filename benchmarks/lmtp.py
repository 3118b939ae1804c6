"""Deliveries a second through LMTP, of one server or of two in turns.

    python benchmarks/lmtp.py --server mailpost=127.0.0.1:24 --server dovecot=127.0.0.1:21024 --users u1..u10

Each connection hands over one message after the other, each to the next of the users, the commands of a message in one
group (RFC 2920). Servers take turns; what is printed is the median of the rounds after a warm-up, and what the first
server's time is beside the second's.
"""

from __future__ import annotations

import argparse
import re
import socket
import statistics
import sys
import time
from base64 import encodebytes
from itertools import count, cycle
from threading import Barrier, Thread

SIZES = {"4 KB": 4 << 10, "400 KB": 400 << 10}
CONNECTIONS = (1, 8)
PAUSE = 2.0
"""Seconds between two turns: what one server writes behind is not to fall into the other's."""


def message(size: int, number: int) -> bytes:
    """A message of about so many octets, no two alike: a small one is text, a large one is an attachment."""
    head = (
        f"From: Eve <eve@example.net>\r\nTo: somebody@example.org\r\nSubject: number {number}\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@example.net>\r\n"
        "Date: Wed, 25 Nov 2026 12:00:00 +0000\r\nContent-Type: text/plain\r\n\r\n"
    ).encode()
    if size > 100_000:
        return head + encodebytes(bytes(range(1, 256)) * (size // 347)).replace(b"\n", b"\r\n")
    line = b"The quick brown fox jumps over the lazy dog, and nobody knows why it does that.\r\n"
    return head + line * ((size - len(head)) // len(line) + 1)


class Client:
    """One connection."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.socket.makefile("rb")
        self.expect(b"220")
        self.socket.sendall(b"LHLO bench.example\r\n")
        self.expect(b"250")

    def expect(self, *codes: bytes) -> None:
        """Read so many answers, which must be these."""
        for code in codes:
            line = self.answers.readline()
            while line[3:4] == b"-":
                line = self.answers.readline()
            if not line.startswith(code):
                raise SystemExit(f"{code!r} was expected, this came: {line!r}")

    def deliver(self, user: str, octets: bytes) -> None:
        """Hand over one message and wait until it is acknowledged."""
        self.socket.sendall(b"MAIL FROM:<eve@example.net>\r\nRCPT TO:<%b>\r\nDATA\r\n" % user.encode())
        self.expect(b"250", b"250", b"354")
        self.socket.sendall(octets + b".\r\n")
        self.expect(b"250")

    def close(self) -> None:
        """Say goodbye."""
        self.socket.sendall(b"QUIT\r\n")
        self.expect(b"221")
        self.answers.close()
        self.socket.close()


def measure(address: str, users: list[str], connections: int, size: int, total: int) -> float:
    """Deliveries a second."""
    clients = [Client(address) for _ in range(connections)]
    start, failed = Barrier(connections + 1), []
    numbers = count()

    def work(client: Client, names: list[str]) -> None:
        turns = cycle(names)
        batch = [message(size, next(numbers)) for _ in range(total // connections)]
        start.wait()
        try:
            for octets in batch:
                client.deliver(next(turns), octets)
        except BaseException as problem:
            failed.append(problem)
            raise

    threads = [
        Thread(target=work, args=(client, users[n % len(users) :] + users[: n % len(users)]))
        for n, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    for client in clients:
        client.close()
    if failed:
        raise SystemExit(f"{address}: {failed[0]}")
    return total // connections * connections / took


def names(text: str) -> list[str]:
    """`u1..u10`, or names with commas between."""
    found = re.fullmatch(r"(\D+)(\d+)\.\.\1(\d+)", text)
    return [f"{found[1]}{n}" for n in range(int(found[2]), int(found[3]) + 1)] if found else text.split(",")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", action="append", required=True, metavar="NAME=HOST:PORT")
    parser.add_argument("--users", type=names, default=names("u1..u10"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=400, help="a round, of the small ones; a fifth of the large")
    options = parser.parse_args()
    servers = dict(each.split("=", 1) for each in options.server)
    columns = " | ".join(f"{name} /s" for name in servers)
    print(f"| size | connections | {columns} | ratio of times |\n| --- | --- |{' --- |' * len(servers)} --- |")  # noqa: T201
    for label, size in SIZES.items():
        for connections in CONNECTIONS:
            total = options.messages if size < 100_000 else options.messages // 5
            rates: dict[str, list[float]] = {name: [] for name in servers}
            for turn in range(options.rounds + 1):
                for name in servers if turn % 2 else reversed(servers):
                    rates[name].append(measure(servers[name], options.users, connections, size, total))
                    time.sleep(PAUSE)
            medians = [statistics.median(each[1:]) for each in rates.values()]
            ratio = ""
            if len(servers) > 1:
                mine, theirs = list(rates.values())[:2]
                ratio = f"{statistics.median(b / a for a, b in zip(mine[1:], theirs[1:], strict=True)):.3f}"
            row = " | ".join(f"{median:.0f}" for median in medians)
            print(f"| {label} | {connections} | {row} | {ratio} |")  # noqa: T201
            sys.stdout.flush()


if __name__ == "__main__":
    main()
