"""What the system refuses: said once in the log while it lasts, however many commands meet it."""

from __future__ import annotations

import errno
import os
import sqlite3
import time

from twisted.logger import Logger

from mailpost.mail.errors import ErrorKind, MailError

_OF_ONE_PLACE = frozenset({errno.EACCES, errno.EPERM})
_OF_THE_DISK = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO})
_NO_TROUBLE = frozenset(
    {ErrorKind.BAD_FOLDER_NAME, ErrorKind.NO_SUCH_FOLDER, ErrorKind.FOLDER_EXISTS, ErrorKind.IN_USE}
)
_AGAIN_SECONDS = 600.0
_MOST = 100


class Troubles:
    """The troubles of one account, or of what else lies on a disk.

    Args:
        what: whose they are: begins the lines.
    """

    _log = Logger()

    def __init__(self, what: str) -> None:
        self._what = what
        self._said: dict[tuple[int, str], float] = {}

    def note(self, error: BaseException | None) -> None:
        """An operation has failed: say why, unless it was said in the last ten minutes."""
        if not isinstance(error, MailError) or error.kind in _NO_TROUBLE:
            return
        cause = error.__cause__
        path = ""
        if isinstance(cause, OSError):
            number, reason = cause.errno or 0, cause.strerror
            path = os.fsdecode(cause.filename) if isinstance(cause.filename, str | bytes) else ""
        elif isinstance(cause, sqlite3.Error):
            number, reason = errno.ENOSPC if error.kind is ErrorKind.DISK_FULL else errno.EIO, str(cause)
        else:
            return
        error.noted = True
        if self.is_news(number, path if number in _OF_ONE_PLACE else ""):
            place = f" ({path})" if path else ""
            self._log.warn(
                "{what}: {text}: {reason}{place}", what=self._what, text=error.text, reason=reason, place=place
            )

    def is_news(self, number: int, what: str) -> bool:
        """Whether this was not said in the last ten minutes; then it is now.

        Args:
            number: an errno, or 0.
            what: which of the troubles with this number.
        """
        now = time.monotonic()
        said = self._said.get((number, what))
        if said is not None and now - said < _AGAIN_SECONDS:
            return False
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[number, what] = now
        return True

    def flushed(self) -> None:
        """A message was made and flushed: what kept changes off the disk is over."""
        over = [key for key in self._said if key[0] in _OF_THE_DISK]
        if over:
            for key in over:
                del self._said[key]
            self._log.info("{what}: the disk takes changes again", what=self._what)
