"""Telling a client that its command is still being worked on, lest it think the server gone.

One timer looks now and then which command is at work; the same one twice has taken long. It is started by a command
that is not answered at once, when it does not run, and ends by itself: commands that are quick cost nothing.

RFC: 9585
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mailpost.protocols.imap.outgoing import Outgoing

INTERVAL = 10.0
"""Seconds between two words on one command, at least; also before the first."""


class Progress:
    """Of the commands of one session."""

    __slots__ = ("_at_work", "_clock", "_counts", "_outgoing", "_seen", "_timer", "command")

    def __init__(self, clock: IReactorTime, outgoing: Outgoing, at_work: Callable[[], bytes | None]) -> None:
        """Write to this output, whose lines are whole whenever a command waits, about the tag that `at_work` gives."""
        self._clock = clock
        self._outgoing = outgoing
        self._at_work = at_work
        self._timer: IDelayedCall | None = None
        self._seen = 0
        self._counts = 0, b"NIL NIL"
        self.command = 0
        """The number of the command that runs; whoever runs it counts on."""

    def watch(self) -> None:
        """A command is at work."""
        if self._timer is None:
            self._timer = self._clock.callLater(INTERVAL, self._look)

    def stop(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def counted(self, done: int, goal: int) -> None:
        """The command that runs has done so many of so many things."""
        self._counts = self.command, b"%d %d" % (done, goal)

    def _look(self) -> None:
        self._timer = None
        tag = self._at_work()
        if tag is None:
            return
        if self._seen == self.command and self._outgoing.command_running and not self._outgoing.held_up:
            command, counts = self._counts
            counts = counts if command == self.command else b"NIL NIL"
            self._outgoing.write(b'* OK [INPROGRESS ("%b" %b)] Still at work\r\n' % (tag, counts))
            self._outgoing.flush()
        self._seen = self.command
        self.watch()
