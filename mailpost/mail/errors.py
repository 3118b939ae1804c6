"""The kinds of failure a mail operation can have; each wire gives a kind its own code.

Whoever fails raises `MailError(kind, text)`; a protocol's session catches it in one place and renders it
(`[TRYCREATE]`, `[OVERQUOTA]`, `452 4.2.2`). The text is for the person at the client: it names no path of
the server and no exception.
"""

from __future__ import annotations

from enum import Enum, auto


class ErrorKind(Enum):
    """What went wrong, in terms that every protocol can translate.

    RFC: 5530 §3 names the IMAP response codes that most of these become.
    """

    NO_SUCH_FOLDER = auto()
    NO_TARGET = auto()
    """No such folder to file into, which the client may create and try again."""
    FOLDER_EXISTS = auto()
    BAD_FOLDER_NAME = auto()
    NOT_SELECTABLE = auto()
    HAS_CHILDREN = auto()
    READ_ONLY = auto()
    NO_PERMISSION = auto()
    OVER_QUOTA = auto()
    DISK_FULL = auto()
    MESSAGE_TOO_BIG = auto()
    LIMIT = auto()
    EXPUNGED = auto()
    IN_USE = auto()
    UNAVAILABLE = auto()
    CORRUPT = auto()
    BAD_CHARSET = auto()
    UNKNOWN_ENCODING = auto()
    CANNOT = auto()
    AUTHENTICATION_FAILED = auto()
    AUTHORIZATION_FAILED = auto()
    """Who that is was proved; but as whom they want to act, they may not."""
    PRIVACY_REQUIRED = auto()
    NO_SUCH_USER = auto()
    """Nobody here has this address."""
    RELAY_DENIED = auto()
    """An address elsewhere, for which this server takes no mail."""
    SENDER_DENIED = auto()
    """An address that who logged in may not send from."""
    TOO_MANY_RECIPIENTS = auto()
    BAD_URL = auto()
    """A URL that names no message, or no part of one, that can be had here."""
    MESSAGE_REFUSED = auto()
    """A filter of the recipient's, or the server's, does not want this message."""

    BUG = auto()
    """What a program's own part got wrong (a virtual folder, say); the log has it under the number in the text."""
    LOOP = auto()
    """A message that comes by again, or has come through too many servers. RFC: 5321 §6.3"""


class MailError(Exception):
    """An operation that could not be done, with its kind and a sentence for the person at the client."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.noted = False
        """The log has been told of its cause."""


def message_too_big(most: int) -> MailError:
    """What is said of a message of more octets than these."""
    return MailError(ErrorKind.MESSAGE_TOO_BIG, f"A message may have {most} octets at most")


class BadUrlError(MailError):
    """A URL that names nothing that can be had here; `url` is as the client wrote it. RFC: 4469 §4.1"""

    def __init__(self, text: str, url: bytes) -> None:
        super().__init__(ErrorKind.BAD_URL, text)
        self.url = url


class IncompleteError(MailError):
    """A search that could not read some messages; `found` are the UIDs of the others that match, ascending."""

    def __init__(self, reason: MailError, found: list[int]) -> None:
        super().__init__(reason.kind, reason.text)
        self.__cause__ = reason.__cause__
        self.found = found
