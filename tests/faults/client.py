"""A small IMAP client that keeps time, and one that does so in a thread while something else goes on."""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

MESSAGE = b"From: ann@example.org\r\nSubject: a message\r\n\r\nText.\r\n"


class Client:
    """One session; every command is sent and waited for."""

    def __init__(self, port: int, user: str = "ann", timeout: float = 60) -> None:
        self._timeout = timeout
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._count = 0
        self.greeting = self._file.readline()
        self.ok(f"LOGIN {user} pass")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it without a word."""
        self._file.close()
        self._socket.close()

    def send(self, command: str) -> bytes:
        """Send a command without waiting: its tag."""
        self._count += 1
        self._socket.sendall(f"{self._count} {command}\r\n".encode())
        return b"%d" % self._count

    def answer(self, tag: bytes) -> tuple[bytes, list[bytes]]:
        """(the tagged line without its tag, all lines before it); literals are within their lines."""
        lines: list[bytes] = []
        while True:
            line = self._file.readline()
            if not line:
                raise ConnectionError("the server has hung up")
            while line.endswith(b"}\r\n"):
                size = int(line[line.rindex(b"{") + 1 : -3])
                line += self._file.read(size) + self._file.readline()
            if line.startswith(tag + b" "):
                return line[len(tag) + 1 : -2], lines
            lines.append(line[:-2])
            if line.startswith(b"+"):
                return b"+", lines

    def send_line(self, line: bytes) -> None:
        """Send a line that is no command."""
        self._socket.sendall(line + b"\r\n")

    def line(self, seconds: float) -> bytes | None:
        """The next line that the server says of itself; None when none comes in this time."""
        self._socket.setblocking(False)
        try:
            waiting = bool(self._file.peek(1))
        finally:
            self._socket.settimeout(self._timeout)
        if not waiting and not select.select([self._socket], [], [], seconds)[0]:
            return None
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server has hung up")
        return line[:-2]

    def do(self, command: str) -> tuple[bytes, list[bytes]]:
        """Send a command and wait: (tagged line, lines before it)."""
        return self.answer(self.send(command))

    def ok(self, command: str) -> list[bytes]:
        """Send a command that must succeed: the lines before its OK."""
        done, lines = self.do(command)
        assert done.startswith(b"OK"), (command, done)
        return lines

    def append(self, folder: str, octets: bytes = MESSAGE, flags: str = "") -> bytes:
        """APPEND: the tagged line."""
        tag = self.send(f"APPEND {folder} ({flags}) {{{len(octets)}}}")
        done, _ = self.answer(tag)
        if done == b"+":
            self._socket.sendall(octets + b"\r\n")
            done, _ = self.answer(tag)
        return done

    def uids(self, folder: str) -> list[int]:
        """EXAMINE a folder: all its UIDs."""
        self.ok(f"EXAMINE {folder}")
        return [int(number) for number in self.ok("UID SEARCH ALL")[-1].split()[2:]]


class Stopwatch:
    """What a session waited for its commands, in a thread of its own, while a `with` block runs."""

    def __init__(self, name: str, step: Callable[[], object]) -> None:
        self.name = name
        self._step = step
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.waited: list[float] = []
        self.problem: BaseException | None = None

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                begun = time.perf_counter()
                self._step()
                self.waited.append(time.perf_counter() - begun)
                time.sleep(0.002)
        except BaseException as problem:  # the test is told
            self.problem = problem

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; raises what went wrong."""
        self._ended.set()
        self._thread.join()
        if self.problem is not None:
            raise self.problem

    @property
    def late(self) -> float:
        """What 99 of 100 commands took at most, seconds."""
        return sorted(self.waited)[int(len(self.waited) * 0.99)]

    @property
    def worst(self) -> float:
        """The longest wait, seconds."""
        return max(self.waited)

    def __str__(self) -> str:
        late, worst = self.late * 1e3, self.worst * 1e3
        return f"{self.name}: {len(self.waited)} commands, 99 % within {late:.1f} ms, worst {worst:.1f} ms"


@contextmanager
def timed(*watches: Stopwatch) -> Iterator[None]:
    """Let these run while the block does. What it reads itself is to keep them from the interpreter for no time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    for watch in watches:
        watch.start()
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        for watch in watches:
            watch.stop()
