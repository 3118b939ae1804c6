"""Receiving a message: a small one in memory, a larger one into a file as it comes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import RECENT, intern_flags
from mailpost.mail.lineends import normalised
from mailpost.storage.interfaces import ISpool
from mailpost.storage.maildir.delivery import Spool
from mailpost.storage.maildir.writing import Incoming
from mailpost.storage.records import NewMessage

LARGEST_IN_MEMORY = 256 * 1024
"""Octets of a message, or of several that come together, which are held until they are filed."""
_PIECE = 256 * 1024
_SMALL_PIECE = 16 * 1024


async def incoming_message(message: NewMessage) -> Incoming:
    """A message as the writer lane takes it; its spool is written to the end."""
    octets = message.octets
    if isinstance(octets, MaildirSpool):
        whole = await octets.finished()
        whole = normalised(whole) if isinstance(whole, bytes) else whole
    elif isinstance(octets, bytes):
        whole = normalised(octets)
    else:
        raise TypeError("this spool is of another store")
    date = int(time.time()) if message.internaldate is None else message.internaldate
    return Incoming(whole, intern_flags(message.flags - {RECENT}), date)


@implementer(ISpool)
class MaildirSpool:
    """A message on its way in.

    Args:
        thread: runs a function in a thread.
        tmp: opens the spool file, called in a thread: the spool, and what keeps its directory open.
        beside: octets of other messages that come together with it.
    """

    def __init__(
        self, thread: Callable[..., Deferred[Any]], tmp: Callable[[], tuple[Spool, object]], beside: int = 0
    ) -> None:
        self.size = 0
        self._beside = beside
        self._piece = _SMALL_PIECE if beside else _PIECE
        self._thread = thread
        self._tmp = tmp
        self._pieces: list[bytes] = []
        self._held = 0
        self._file: Spool | None = None
        self._directory: object = None
        self._writing = DeferredLock()
        self._aborted = False

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next octets."""
        if self._aborted:
            raise MailError(ErrorKind.CANNOT, "This message was given up")
        self.size += len(data)
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._piece or self._beside + self.size <= LARGEST_IN_MEMORY:
            return None
        return Deferred.fromCoroutine(self._written())

    async def _written(self) -> None:
        """Write what is held, after what is being written."""
        await self._writing.acquire()
        pieces, self._pieces, self._held = self._pieces, [], 0
        if not pieces or self._aborted:
            self._writing.release()
            return
        written: Deferred[None] = Deferred()

        def done(outcome: Failure | None) -> None:
            self._writing.release()
            if not written.called:
                written.callback(outcome)

        # Who waits may be cancelled. The thread goes on then, and whoever drops the file comes after it.
        self._thread(self._put, b"".join(pieces)).addBoth(done)
        await written

    def _put(self, data: bytes) -> None:
        if self._file is None:
            self._file, self._directory = self._tmp()
        self._file.write(data)

    async def finished(self) -> bytes | Spool:
        """The whole message: its octets, or the file that holds them."""
        if self._aborted:
            raise MailError(ErrorKind.CANNOT, "This message was given up")
        if self._file is not None or self._writing.locked:
            await self._written()
        if self._file is None:
            return b"".join(self._pieces)
        return self._file

    def abort(self) -> None:
        """Throw it away."""
        self._aborted = True
        self._pieces = []
        if self._file is not None or self._writing.locked:
            self._writing.run(self._drop).addErrback(lambda _: None)  # the store is closing: tmp is cleaned some day

    def _drop(self) -> Deferred[None] | None:
        file, self._file = self._file, None
        return None if file is None else self._thread(file.abort)
