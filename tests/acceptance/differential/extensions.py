"""Random commands of extensions, each only where both servers announce its capability."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping

from tests.acceptance.differential.answers import Line, Literal, Piece, Pieces

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
_USES = (
    b"\\Sent",
    b"\\Drafts",
    b"\\Sent \\Junk",
    b"\\Archive",
    b"\\Nonsense",
    b"",
    b"\\sent",
    b"Sent",
    b"\\Trash \\Trash",
)
_NAMES = (b"s1", b"s2", b"s3", b"a/s4", b"a")
_BY_USE = (
    *(b'LIST (SPECIAL-USE) "" *', b'LIST "" * RETURN (SPECIAL-USE)', b'LIST (SPECIAL-USE SUBSCRIBED) "" "*"'),
    *(b'LIST (SPECIAL-USE RECURSIVEMATCH) "" %', b'LIST (SPECIAL-USE) "" % RETURN (SPECIAL-USE SUBSCRIBED CHILDREN)'),
)
_KNOWN = (b"", b" 1:5", b" 1:100", b" 2,4", b" 1:3 (1,2 1,2)", b" 1:9 (2 3)", b" (1,3 1,4)", b" (1:3 1:3)", b" (1 1,2)")
"""What a client may say it knows of a mailbox; the last is wrong. RFC: 7162 §3.2.5"""
_NOT_KNOWN = (
    b"(QRESYNC (0 1))",
    b"(QRESYNC (1 0))",
    b"(QRESYNC 1 1)",
    b"(QRESYNC (1))",
    b"(QRESYNC (1 1 *))",
    b"(QRESYNC)",
)
_CHANGED = (
    *(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE @MODSEQ VANISHED)", b"UID FETCH 1:100 (UID) (CHANGEDSINCE 1 VANISHED)"),
    *(b"UID FETCH 2:3 FLAGS (VANISHED CHANGEDSINCE @MODSEQ)", b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE @MODSEQ)"),
    *(b"UID FETCH 1:* (FLAGS) (VANISHED)", b"FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)"),
)
_ENABLING = (b"CONDSTORE", b"QRESYNC", b"IMAP4rev2", b"UTF8=ACCEPT")
_NOT_ENABLING = (b"X-NONE", b"condstore X-NONE", b"NAMESPACE", b"", b"(CONDSTORE)", b"NAMESPACE QRESYNC")
_CONDSTORE = (
    *(b"ENABLE CONDSTORE", b"FETCH 1:* MODSEQ", b"UID FETCH 1:* (FLAGS MODSEQ)", b"STATUS a (HIGHESTMODSEQ)"),
    *(b"FETCH 1:* (FLAGS) (CHANGEDSINCE @MODSEQ)", b"FETCH 1 (FLAGS) (CHANGEDSINCE 0)", b"SEARCH MODSEQ @MODSEQ"),
    *(b"STORE 1:2 (UNCHANGEDSINCE @MODSEQ) +FLAGS (\\Seen)", b"UID STORE 1:* (UNCHANGEDSINCE 1) -FLAGS (work)"),
    *(
        b'SEARCH MODSEQ "/flags/\\\\Seen" all 1',
        b"STORE 1 (UNCHANGEDSINCE x) FLAGS ()",
        b"FETCH 1 FLAGS (CHANGEDSINCE)",
    ),
)
_REV2 = (
    *(b"ENABLE IMAP4rev2", b"STATUS a (MESSAGES DELETED)", b"SEARCH UNSEEN", b"SEARCH 1:*", b"SELECT b", b"EXAMINE a"),
    *(
        b"RENAME s1 s2",
        b"CREATE s1",
        b"FETCH 1:* (FLAGS BINARY.SIZE[1])",
        b"UID SEARCH RETURN (SAVE) ALL",
        b"CREATE s1/",
    ),
)
_UTF8_NAMES = ("Entwürfe", "台北/b", "a/ü", "&", "R&D", "e\u0301")
_IDS = (
    b"ID NIL",
    b'ID ("name" "someone" "version" NIL)',
    b"ID ()",
    b'ID ("name")',
    b"ID x",
    b'ID ("name" "x" "name" "y")',
)
_OBJECTS = (
    *(b"EMAILID", b"THREADID", b"EMAILID THREADID"),
    *(b"STATUS a (MAILBOXID)", b"STATUS b (MESSAGES MAILBOXID)", b"STATUS s1 (MAILBOXID)", b"SELECT a", b"EXAMINE b"),
    *(
        b"RENAME s1 s2",
        b"RENAME s2 s1",
        b"CREATE s1",
        b"DELETE s2",
        b"SEARCH EMAILID x",
        b"COPY 1:* b",
        b"UID MOVE 1 b",
    ),
    *(b"RENAME a s3", b"RENAME s3 a", b"STATUS s2 (MAILBOXID)", b'LIST "" % RETURN (STATUS (MAILBOXID))'),
)
_QUOTA = (b'GETQUOTA ""', b"GETQUOTA nope", b"GETQUOTA")
_FREED = (b"STATUS a (DELETED DELETED-STORAGE)", b"STATUS b (DELETED-STORAGE)", b"STATUS b (MESSAGES DELETED)")
_SIZES = (b"STATUS a (SIZE)", b"STATUS b (SIZE MESSAGES)", b"STATUS b (UNSEEN SIZE UIDNEXT)", b"STATUS nope (SIZE)")
_UIDPLUS = (
    b"UID EXPUNGE 1:*",
    b"UID EXPUNGE 2",
    b"UID EXPUNGE 1,3",
    b"UID EXPUNGE *",
    b"UID EXPUNGE 5:3",
    b"UID EXPUNGE $",
)
_AFTER = (
    b"NOOP",
    b"CAPABILITY",
    b"SELECT a",
    b"FETCH 1 FLAGS",
    b"LIST",
    b"ENABLE CONDSTORE",
    b"UNAUTHENTICATE",
    b"COMPRESS X",
)
UIDS_ONLY = (
    *(b"UID FETCH 1:* (FLAGS)", b"FETCH 1 FLAGS", b"UID SEARCH ALL", b"SEARCH 1:*", b"UID SEARCH 1", b"SEARCH UNSEEN"),
    *(
        b"UID STORE 1:3 +FLAGS (\\Deleted)",
        b"STORE 1 FLAGS ()",
        b"COPY 1 b",
        b"UID COPY 1 b",
        b"MOVE 1 b",
        b"UID MOVE 2 b",
    ),
    *(
        b"UID FETCH 1:* (UID BODY.PEEK[1])",
        b"SEARCH NOT *",
        b"SEARCH RETURN (ALL) FLAGGED",
        b"EXPUNGE",
        b"UID EXPUNGE 1:*",
    ),
    *(
        b"REPLACE 1 a {0+}\r\n",
        b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
        b"SELECT a (QRESYNC (@UIDVALIDITY @MODSEQ 1:9 (1 1)))",
    ),
)
"""Under UIDONLY: what names messages by their numbers is refused. RFC: 9586 §3"""

SPEAKS_OF: Mapping[str, re.Pattern[bytes]] = {
    name: re.compile(pattern, re.I)
    for name, pattern in {
        "LITERAL+": rb"\{\d+\+\}",
        "SASL-IR": rb"^AUTHENTICATE PLAIN \S",
        "IDLE": rb"^IDLE",
        "NAMESPACE": rb"^NAMESPACE",
        "ID": rb"^ID ",
        "ENABLE": rb"^ENABLE ",
        "UNSELECT": rb"^UNSELECT",
        "CHILDREN": rb"\bCHILDREN\b",
        "ESEARCH": rb"SEARCH RETURN",
        "SEARCHRES": rb"\bSAVE\b|\$(?![FJ])",
        "PARTIAL": rb"\(PARTIAL|PARTIAL -?\d",
        "UIDONLY": rb"UIDONLY",
        "BINARY": rb"\bBINARY|~\{",
        "CATENATE": rb"CATENATE",
        "IMAP4REV2": rb"IMAP4rev2",
        "UTF8=ACCEPT": rb"UTF8",
        "LIST-EXTENDED": rb'^LIST (?:\(|.* RETURN|"" \()',
        "LIST-STATUS": rb"RETURN \(.*STATUS",
        "COMPRESS=DEFLATE": rb"^COMPRESS",
        "UIDPLUS": rb"^UID EXPUNGE",
        "MOVE": rb"^(?:UID )?MOVE",
        "SPECIAL-USE": rb"SPECIAL-USE",
        "STATUS=SIZE": rb"STATUS.*\bSIZE\b",
        "CONDSTORE": rb"CONDSTORE|MODSEQ|CHANGEDSINCE",
        "QRESYNC": rb"QRESYNC|VANISHED",
        "REPLACE": rb"^(?:UID )?REPLACE",
        "OBJECTID": rb"EMAILID|THREADID|MAILBOXID",
        "SAVEDATE": rb"SAVEDATE",
        "PREVIEW": rb"PREVIEW",
        "CREATE-SPECIAL-USE": rb"\(USE",
        "QUOTA": rb"^GETQUOTA",
        "QUOTA=RES-STORAGE": rb"DELETED-STORAGE|^GETQUOTA",
        "QUOTA=RES-MESSAGE": rb"STATUS.*\bDELETED\b|^GETQUOTA",
        "UNAUTHENTICATE": rb"^UNAUTHENTICATE",
        "APPENDLIMIT": rb"\{\d{10,}",
        "MULTIAPPEND": rb"\A\Z(?#found by the number of literals)",
    }.items()
}
"""By which of a command's words one sees that it uses an extension."""
NOT_DRAWN = {
    "INPROGRESS": "told by the server alone, of a command that takes seconds",
}
"""Capabilities that no command can use."""


def spoken_of(command: Pieces) -> set[str]:
    """The extensions that a command uses."""
    text = b"".join(each if isinstance(each, bytes) else _shown(each) for each in command)
    found = {name for name, pattern in SPEAKS_OF.items() if pattern.search(text)}
    messages = sum(isinstance(each, Literal) for each in command)
    return found | {"MULTIAPPEND"} if messages > 1 and text.startswith(b"APPEND") and b"CATENATE" not in text else found


def _shown(piece: Literal | Line) -> bytes:
    """What stands for a literal, whose octets speak of nothing."""
    if isinstance(piece, Line):
        return b""
    size = piece.claimed or len(piece.octets)
    return b"%b{%d%b}" % (b"~" * piece.eight, size, b"+" * piece.plus)


class Extensions:
    """A source of commands.

    Args:
        draw: where chance comes from.
        messages: what to append.
        folder: draws the name of a folder.
        capabilities: what both servers announce.
    """

    def __init__(
        self,
        draw: random.Random,
        messages: list[bytes],
        folder: Callable[[], bytes],
        capabilities: Collection[bytes],
    ) -> None:
        self._draw = draw
        self._messages = messages
        self._folder = folder
        self._announced = capabilities
        self._enabling = (*(name for name in _ENABLING if name in capabilities), *_NOT_ENABLING)
        self._kinds: Mapping[bytes, Callable[[], Pieces]] = {
            b"MULTIAPPEND": self._multiappend,
            b"CATENATE": self._catenate,
            b"REPLACE": self._replace,
            b"BINARY": self._binary,
            b"QRESYNC": self._qresync,
            b"CONDSTORE": self._some(_CONDSTORE),
            b"ENABLE": lambda: (b"ENABLE " + self._one(self._enabling),),
            b"UIDONLY": self._uidonly,
            b"IMAP4rev2": self._some(_REV2),
            b"UTF8=ACCEPT": self._utf8,
            b"CREATE-SPECIAL-USE": lambda: (b"CREATE " + self._one(_NAMES) + b" (USE (" + self._one(_USES) + b"))",),
            b"SPECIAL-USE": self._some(_BY_USE),
            b"COMPRESS=DEFLATE": self._some(
                (b"COMPRESS DEFLATE", b"COMPRESS GZIP", b"COMPRESS", b"COMPRESS deflate x")
            ),
            b"UNAUTHENTICATE": lambda: (b"UNAUTHENTICATE",),
            b"IDLE": lambda: (b"IDLE", Line(self._one((b"DONE", b"DONE", b"done")))),
            b"ID": self._some(_IDS),
            b"NAMESPACE": self._some((*[b"NAMESPACE"] * 5, b"NAMESPACE x")),
            b"UNSELECT": self._some((*[b"UNSELECT"] * 5, b"UNSELECT x")),
            b"QUOTA=RES-STORAGE": self._some(_FREED[:2]),
            b"QUOTA=RES-MESSAGE": self._some(_FREED[2:]),
            b"STATUS=SIZE": self._some(_SIZES),
            b"UIDPLUS": self._some(_UIDPLUS),
            b"APPENDLIMIT": lambda: (b"APPEND " + self._folder() + b" ", Literal(b"", claimed=self._one_of_sizes())),
            b"SEARCHRES": self._searchres,
            b"PARTIAL": self._partial,
            b"PREVIEW": lambda: (self._fetch(b"PREVIEW"),),
            b"OBJECTID": self._objectid,
            b"SAVEDATE": lambda: (self._fetch(b"SAVEDATE"),),
            b"LIST-EXTENDED": self._list_extended,
            b"LIST-STATUS": self._list_status,
            b"QUOTA": lambda: (self._one((b"GETQUOTAROOT " + self._folder(), self._one(_QUOTA))),),
        }

    def names(self) -> list[bytes]:
        """Those of the capabilities that there are commands for, always in the same order."""
        return sorted(self._kinds.keys() & set(self._announced))

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

    def _some(self, commands: tuple[bytes, ...]) -> Callable[[], Pieces]:
        return lambda: (self._one(commands),)

    def after_unauthenticate(self) -> list[Pieces]:
        """Something that may be wrong now, and a new login. RFC: 8437 §3"""
        return [*([(self._one(_AFTER),)] if self._draw.random() < 0.7 else []), self.login(), (b"SELECT a",)]

    def login(self) -> Pieces:
        """One of the ways in. RFC: 4959 (SASL-IR)"""
        ways: tuple[Pieces, ...] = (
            (b"LOGIN @USER @PASSWORD",),
            (b"AUTHENTICATE PLAIN @PLAIN",),
            (b"AUTHENTICATE PLAIN", Line(b"@PLAIN")),
        )
        return self._draw.choice(ways)

    def _one_of_sizes(self) -> int:
        return self._draw.choice((9_999_999_999, 4_294_967_295, 99_999_999_999))

    def _objectid(self) -> Pieces:
        found = self._one(_OBJECTS)
        return (self._fetch(found) if found.endswith(b"ID") and b" S" not in found else found,)

    def _qresync(self) -> Pieces:
        kind = self._draw.randrange(8)
        if kind < 3:
            since = b"(QRESYNC (@UIDVALIDITY @MODSEQ" + self._one(_KNOWN) + b"))"
            return (self._one((b"SELECT ", b"EXAMINE ")) + self._folder() + b" " + since,)
        if kind < 5:
            return (b"ENABLE QRESYNC",)
        if kind == 5:
            return (b"SELECT " + self._folder() + b" " + self._one(_NOT_KNOWN),)
        return (self._one(_CHANGED),)

    def _uidonly(self) -> Pieces:
        return (b"ENABLE UIDONLY",) if self._draw.random() < 0.15 else (self._one(UIDS_ONLY),)

    def _utf8(self) -> Pieces:
        kind = self._draw.randrange(4)
        if kind == 0:
            return (b"ENABLE UTF8=ACCEPT",)
        if kind == 1:
            name = self._draw.choice(_UTF8_NAMES).encode()
            return (self._one((b"CREATE", b"DELETE", b"SELECT", b"SUBSCRIBE", b'LIST ""')) + b' "' + name + b'"',)
        message = Literal(self._draw.choice(self._messages), self._draw.random() < 0.5, eight=True)
        if kind == 2:
            return (b"APPEND " + self._folder() + b" UTF8 (", message, b")")
        return (b"APPEND " + self._folder() + b" (\\Seen) UTF8 (", message, self._one((b"", b") UTF8 (", b" x)")))

    def _multiappend(self) -> Pieces:
        pieces: list[Piece] = [b"APPEND " + self._folder() + b" "]
        for number in range(self._draw.randint(2, 3)):
            pieces.append(self._one((b" " * bool(number), b" " * bool(number) + b"(\\Seen) ")))
            pieces.append(self._literal())
        return tuple(pieces)

    def _catenate(self) -> Pieces:
        uid, section = self._draw.randint(1, 4), self._one((b"", b"/;SECTION=HEADER", b"/;SECTION=1", b"/;SECTION=9"))
        url = b'URL "/%b/;UID=%d%b"' % (self._one((b"a", b"b")), uid, section)
        parts: list[Piece] = [b"TEXT ", self._literal()]
        parts = [*parts, b" " + url] if self._draw.random() < 0.5 else [url]
        return (b"APPEND " + self._folder() + b" CATENATE (", *parts, b")")

    def _replace(self) -> Pieces:
        return (
            self._uid() + b"REPLACE " + self._one((b"1", b"2", b"*", b"99")) + b" " + self._folder() + b" ",
            self._literal(),
        )

    def _binary(self) -> Pieces:
        if self._draw.random() < 0.2:
            octets = self._draw.choice(self._messages) + self._one((b"", b"\0\1\xff\r\n"))
            return (b"APPEND " + self._folder() + b" ", Literal(octets, self._draw.random() < 0.5, eight=True))
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
