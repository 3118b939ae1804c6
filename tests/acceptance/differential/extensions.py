"""Random commands of extensions, each only where both servers announce its capability."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping

from tests.acceptance.differential.answers import Literal, Pieces

_SETS = (b"1", b"1:*", b"*", b"2:4", b"1,3,5", b"4:1", b"3", b"99", b"$")
_PARTIAL = (b"1:2", b"2:4", b"-1:-2", b"-3:-1", b"1:100", b"99:100", b"2:2", b"0:1", b"1", b"1:-1")
_SECTIONS = (b"1", b"1.1", b"2", b"", b"1.2", b"99", b"2.1")
_RETURNED = (
    b"STATUS (MESSAGES UNSEEN)",
    b"STATUS (UIDNEXT SIZE)",
    b"SUBSCRIBED CHILDREN",
    b"CHILDREN STATUS (MESSAGES)",
)
_SELECTED = (b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH SUBSCRIBED", b"RECURSIVEMATCH", b"", b"SUBSCRIBED REMOTE")
_PATTERNS = (b"*", b"%", b"(a* b)", b'("a" "b/%" "*")', b"()", b"(% %/%)")
_KEYS = (b"ALL", b"SEEN", b"UNSEEN", b"DELETED", b"FLAGGED", b"KEYWORD work", b"$", b"NOT $", b"1:2", b"LARGER 500")


class Extensions:
    """A source of commands.

    Args:
        draw: where chance comes from.
        messages: what to append.
        folder: draws the name of a folder.
    """

    def __init__(self, draw: random.Random, messages: list[bytes], folder: Callable[[], bytes]) -> None:
        self._draw = draw
        self._messages = messages
        self._folder = folder
        self._kinds: Mapping[bytes, Callable[[], Pieces]] = {
            b"MULTIAPPEND": self._multiappend,
            b"CATENATE": self._catenate,
            b"REPLACE": self._replace,
            b"BINARY": self._binary,
            b"SEARCHRES": self._searchres,
            b"PARTIAL": self._partial,
            b"PREVIEW": lambda: (self._fetch(b"PREVIEW"),),
            b"OBJECTID": lambda: (self._fetch(b"EMAILID"),),
            b"SAVEDATE": lambda: (self._fetch(b"SAVEDATE"),),
            b"LIST-EXTENDED": self._list_extended,
            b"LIST-STATUS": self._list_status,
            b"QUOTA": lambda: (b"GETQUOTAROOT " + self._folder(),),
        }

    def both_have(self, capabilities: Iterable[bytes]) -> list[bytes]:
        """Those of the names that there are commands for, always in the same order."""
        return sorted(set(capabilities) & self._kinds.keys())

    def command(self, name: bytes) -> Pieces:
        """A command of this extension."""
        return self._kinds[name]()

    def _one(self, some: tuple[bytes, ...]) -> bytes:
        return self._draw.choice(some)

    def _uid(self) -> bytes:
        return self._one((b"", b"UID "))

    def _literal(self) -> Literal:
        return Literal(self._draw.choice(self._messages), self._draw.random() < 0.5)

    def _fetch(self, item: bytes) -> bytes:
        return self._uid() + b"FETCH " + self._one(_SETS[:-1]) + b" (FLAGS " + item + b")"

    def _multiappend(self) -> Pieces:
        pieces: list[bytes | Literal] = [b"APPEND " + self._folder() + b" "]
        for number in range(self._draw.randint(2, 3)):
            pieces.append(self._one((b" " * bool(number), b" " * bool(number) + b"(\\Seen) ")))
            pieces.append(self._literal())
        return tuple(pieces)

    def _catenate(self) -> Pieces:
        uid, section = self._draw.randint(1, 4), self._one((b"", b"/;SECTION=HEADER", b"/;SECTION=1", b"/;SECTION=9"))
        url = b'URL "/%b/;UID=%d%b"' % (self._one((b"a", b"b")), uid, section)
        parts: list[bytes | Literal] = [b"TEXT ", self._literal()]
        parts = [*parts, b" " + url] if self._draw.random() < 0.5 else [url]
        return (b"APPEND " + self._folder() + b" CATENATE (", *parts, b")")

    def _replace(self) -> Pieces:
        return (
            self._uid() + b"REPLACE " + self._one((b"1", b"2", b"*", b"99")) + b" " + self._folder() + b" ",
            self._literal(),
        )

    def _binary(self) -> Pieces:
        section = b"[" + self._one(_SECTIONS) + b"]"
        items = (
            b"BINARY" + section,
            b"BINARY.PEEK" + section,
            b"BINARY.SIZE" + section,
            b"BINARY.PEEK" + section + b"<3.9>",
        )
        return (self._fetch(self._one(items)),)

    def _searchres(self) -> Pieces:
        saved = b"SEARCH RETURN (" + self._one((b"SAVE", b"SAVE MIN", b"SAVE ALL COUNT", b"MIN MAX SAVE")) + b") "
        used = (b"FETCH $ FLAGS", b"STORE $ +FLAGS (\\Flagged)", b"COPY $ b", b"SEARCH $", b"SEARCH NOT $")
        return (self._uid() + (saved + self._one(_KEYS) if self._draw.random() < 0.5 else self._one(used)),)

    def _partial(self) -> Pieces:
        which = b"PARTIAL " + self._one(_PARTIAL)
        if self._draw.random() < 0.5:
            return (
                self._uid()
                + b"SEARCH RETURN ("
                + which
                + self._one((b"", b" COUNT", b" MIN"))
                + b") "
                + self._one(_KEYS[:6]),
            )
        return (b"UID FETCH 1:* (FLAGS) (" + which + b")",)

    def _list_extended(self) -> Pieces:
        returns = self._one((b"", b" RETURN (SUBSCRIBED)", b" RETURN (CHILDREN)", b" RETURN ()"))
        return (b"LIST (" + self._one(_SELECTED) + b') "" ' + self._one(_PATTERNS) + returns,)

    def _list_status(self) -> Pieces:
        return (b'LIST "" ' + self._one(_PATTERNS) + b" RETURN (" + self._one(_RETURNED) + b")",)
