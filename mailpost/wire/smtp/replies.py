"""Replies: code, enhanced status code, text; and the reply that each kind of failure becomes.

RFC: 5321 §4.2 (codes), 2034 §4 and 3463 §2 (enhanced status codes)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap

from mailpost.mail.errors import ErrorKind, MailError

_WIDTH = 400
"""Characters of text in one line; with code and status it stays below the 512 octets of RFC 5321 §4.5.3.1.5."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server says to a command."""

    code: int
    status: str
    """Such as "2.1.0"; "" where there is none: in greetings, answers to EHLO and whatever begins with 3."""
    text: str
    """One line or more, divided by "\\n"."""

    @property
    def positive(self) -> bool:
        """The command was done."""
        return self.code < 400

    def prefixed(self, prefix: str) -> Reply:
        """The same about somebody: LMTP's answers name the recipient."""
        return Reply(self.code, self.status, f"{prefix} {self.text}")

    def render(self) -> bytes:
        """The octets; every line has code and status. RFC: 5321 §4.2.1, 2034 §4"""
        status = f"{self.status} " if self.status else ""
        if len(self.text) <= _WIDTH and self.text.isascii() and self.text.isprintable():  # nearly always
            return f"{self.code} {status}{self.text}\r\n".encode("ascii")
        lines = [part for line in self.text.split("\n") for part in wrap(printable(line), _WIDTH) or [""]]
        texts = [f"{self.code}-{status}{line}" for line in lines[:-1]] + [f"{self.code} {status}{lines[-1]}"]
        return "".join(f"{text}\r\n" for text in texts).encode("ascii")


def printable(text: str) -> str:
    """Text as a reply may have it. RFC: 5321 §4.2 (textstring: HT and printable ASCII)"""
    return "".join(each if " " <= each <= "~" else "?" for each in text)


_OF_KINDS: Mapping[ErrorKind, tuple[int, str]] = {
    ErrorKind.NO_SUCH_USER: (550, "5.1.1"),
    ErrorKind.RELAY_DENIED: (550, "5.7.1"),
    ErrorKind.SENDER_DENIED: (550, "5.7.1"),  # RFC: 6409 §6.1
    ErrorKind.NO_PERMISSION: (550, "5.7.1"),
    ErrorKind.MESSAGE_REFUSED: (550, "5.7.1"),
    ErrorKind.OVER_QUOTA: (452, "4.2.2"),
    ErrorKind.DISK_FULL: (452, "4.3.1"),
    ErrorKind.TOO_MANY_RECIPIENTS: (452, "4.5.3"),
    ErrorKind.MESSAGE_TOO_BIG: (552, "5.3.4"),
    ErrorKind.LIMIT: (451, "4.7.0"),
    ErrorKind.AUTHENTICATION_FAILED: (535, "5.7.8"),
    ErrorKind.AUTHORIZATION_FAILED: (535, "5.7.8"),
    ErrorKind.PRIVACY_REQUIRED: (538, "5.7.11"),
    ErrorKind.LOOP: (554, "5.4.6"),
    ErrorKind.CANNOT: (554, "5.0.0"),
}
"""RFC: 3463 §3, 4954 §6; what is not here is nothing that mail coming in can be blamed for: it may try again."""
_LATER = (451, "4.3.0")


def of_error(error: MailError, *, over_quota_permanent: bool = False) -> Reply:
    """The reply to a failure; a full mailbox is refused for ever, or until the sender gives up, by setting."""
    code, status = _OF_KINDS.get(error.kind, _LATER)
    if error.kind is ErrorKind.OVER_QUOTA and over_quota_permanent:
        code, status = 552, "5.2.2"
    return Reply(code, status, error.text)


def of_bug(incident: str) -> Reply:
    """The reply to what should not have happened; the log has the rest under this number."""
    return Reply(451, "4.3.0", f"Internal error {incident}; try again later")


OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
TAKEN = Reply(250, "2.0.0", "Message taken")
GOODBYE = Reply(221, "2.0.0", "Bye")
START_MESSAGE = Reply(354, "", "Send the message; end with a line that has only a dot")
START_TLS = Reply(220, "2.0.0", "Begin TLS now")
LOGGED_IN = Reply(235, "2.7.0", "Logged in")
CANNOT_VERIFY = Reply(252, "2.1.5", "Not verified; mail for it may be tried")
BARE_LINE_END = Reply(550, "5.6.11", "Message refused: it has a CR or LF alone; lines end in CR LF")
"""No status of RFC 3463 says this; with this one, which large hosts use for it, its meaning can be looked up."""
