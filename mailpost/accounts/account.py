"""Who a user is: a checked name, and what the directory knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.accounts.verifiers import Verifier
from mailpost.storage.records import QuotaLimit

LONGEST_NAME = 200
"""Octets in UTF-8; a name becomes the name of a folder, and 255 is the most that file systems take."""


class UserNameError(ValueError):
    """A name that nobody can have."""


@dataclass(frozen=True, slots=True)
class User:
    """One user of a directory."""

    name: str
    """As the directory spells it, already checked; mail is kept under this name."""
    password: str
    """`{SCHEME}hash`; "" when no password lets this user in."""
    quota: QuotaLimit | None = None
    """How much mail this user may have, where the directory says so."""
    verifiers: tuple[Verifier, ...] = ()
    """Of this password, for SCRAM. A password that is stored as it is needs none."""
    senders: frozenset[str] = frozenset()
    """Addresses that this user may send from beside those of his own, and `@domain` for whole domains; casefolded."""
    sent_copies: bool | None = None
    """Whether this user's sent mail is filed, where the directory says so."""


def checked_user(name: bytes | str) -> str:
    """The name as text, if it is safe to be the name of a folder and to stand in a line of a file or a log.

    Refused: the empty name, over-long ones, a leading dot or `#`, `/` and backslash, `..`, `:`, spaces at either end,
    control characters and whatever Unicode does not print.

    Raises:
        UserNameError: with the reason; it does not repeat the name.
    """
    if isinstance(name, bytes):
        try:
            name = name.decode()
        except UnicodeDecodeError:
            raise UserNameError("a user name must be UTF-8") from None
    if not name:
        raise UserNameError("a user name must not be empty")
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        raise UserNameError(f"a user name must not be longer than {LONGEST_NAME} octets")
    if not name.isprintable() or name != name.strip():
        raise UserNameError("a user name must not have control characters, or spaces at its ends")
    if name.startswith((".", "#")) or ".." in name or any(character in name for character in "/\\:"):
        raise UserNameError('a user name must not begin with a dot or "#", nor have "..", "/", "\\" or ":" in it')
    return name
