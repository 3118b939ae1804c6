"""The log, written by a thread: a disk that is busy with mail makes whoever writes wait, and the reactor must not.

twistd opens the log before it forks, and starts services after it. So lines are written at once while there is no
service (they are few), and by the thread while there is one, those of a moment together.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.python.logfile import LogFile

GATHER_SECONDS = 0.02
"""How long the thread lets lines come together before it writes them."""
MOST_LINES = 10_000
"""Lines that may wait for the disk. Further ones are left out, and counted."""


class LogWriter(Service):
    """What an observer writes to, and the service that keeps its thread.

    Args:
        out: the file behind it.
    """

    def __init__(self, out: TextIO | LogFile) -> None:
        self._out: Any = out
        # The reactor's signal handlers have something to say too, in the middle of whatever this thread does here: this
        # queue allows it, that of the same module with a bound does not, and neither do locks or files.
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._writing = False
        self._rotating = False
        self._left_out = 0
        self._thread: Thread | None = None

    def startService(self) -> None:
        """From now on the thread writes."""
        super().startService()  # type: ignore[no-untyped-call]
        self._thread = Thread(target=self._work, name="mailpost-log", daemon=True)
        self._thread.start()

    def stopService(self) -> None:
        """All is written when this comes back; what is said later is written at once."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join()
            self._thread = None
            self._write_now()

    def write(self, text: str) -> None:
        """Take a line, in any thread."""
        if self._thread is not None and self._lines.qsize() >= MOST_LINES:
            self._left_out += 1
            return
        self._lines.put(text)
        if self._thread is None:
            self._write_now()

    def flush(self) -> None:
        """Nothing to do: each write is flushed."""

    def rotate_soon(self) -> None:
        """Begin a new file before the next line, where it is one that can be rotated. For signal handlers."""
        self._rotating = isinstance(self._out, LogFile)

    def _write_now(self) -> None:
        """Without a thread: write what waits. What a signal handler adds meanwhile this writes too."""
        while not self._writing and not self._lines.empty():
            self._writing = True
            try:
                self._put(self._lines.get() or "")
            finally:
                self._writing = False

    def _work(self) -> None:
        line = self._lines.get()
        while line is not None:
            time.sleep(GATHER_SECONDS)
            lines = []
            while line is not None:
                lines.append(line)
                if self._lines.empty():
                    break
                line = self._lines.get()
            self._put("".join(lines))
            self._tell_left_out()
            if line is not None:
                line = self._lines.get()

    def _tell_left_out(self) -> None:
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self._put(f"- [mailpost] {count} lines are missing here: they came faster than they could be written\n")

    def _put(self, text: str) -> None:
        # A full disk, a terminal that is gone or closed: mail is served all the same, and there is nowhere to say it.
        with suppress(OSError, ValueError):
            if self._rotating:
                self._rotating = False
                self._out.rotate()
            try:
                self._out.write(text)
            except UnicodeError:  # the name of a file that is no UTF-8, a terminal that takes less than that
                self._out.write(text.encode("ascii", "backslashreplace").decode())
            self._out.flush()


def log_writer(options: Mapping[str, Any]) -> LogWriter | None:
    """The writer of the log that twistd's options ask for, or None where another takes it: syslog, --logger.

    Args:
        options: those of twistd itself; empty where the service is not for twistd.
    """
    path, terminal = options.get("logfile"), bool(options.get("nodaemon"))
    if not options or options.get("logger") or options.get("syslog") or (path == "-" and not terminal):
        return None
    if path == "-" or (terminal and not path):
        return LogWriter(sys.stdout)
    writer = LogWriter(LogFile.fromFullPath(path or "twistd.log"))
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda number, frame: writer.rotate_soon())
    return writer
