"""Random IMAP sessions: the same number makes the same commands, as a list of (connection, command)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection
from functools import partial

from tests.acceptance.differential.answers import Literal, Piece, Pieces, first_of
from tests.acceptance.differential.extensions import Extensions
from tests.corpus import messages

FOLDERS = (b"a", b"a/b", b"a/b/c", b"b", b'"with space"', b"Entw&APw-rfe", b"&Ti1lhw-/b", b"b/A", b"R&-D", b'"q\\"q"')
_PATTERNS = (b"*", b"%", b"a*", b"%/%", b"a/%", b'""', b"*b", b"nope", b"b/*", b"INBOX", b"inbox", b"*%", b"a/b")
_SETS = (b"1", b"1:*", b"*", b"2:4", b"1,3,5", b"4:1", b"*:2", b"2", b"3", b"1:2,2:3", b"1:3")
_ODD_SETS = (b"99", b"0", b"1:99", b"4294967295", b"4294967296", b"1,,2", b"", b"x", b"-1", b"99:*", b"*,99", b"1:")
_FLAGS = (b"\\Seen", b"\\Deleted", b"\\Flagged", b"\\Answered", b"\\Draft", b"$Forwarded", b"work", b"$Junk")
_SECTIONS = (
    *(b"", b"HEADER", b"TEXT", b"1", b"1.MIME", b"2", b"2.MIME", b"1.1", b"1.HEADER", b"2.TEXT", b"1.TEXT", b"1.1.1"),
    *(b"HEADER.FIELDS (Subject From)", b"HEADER.FIELDS.NOT (Received)", b"2.2", b"2.HEADER.FIELDS (Subject)", b"99"),
    *(b'HEADER.FIELDS ("Message-ID" to)', b"1.2.MIME", b"2.1", b"HEADER.FIELDS.NOT (subject from to date)"),
)
_PARTIALS = (b"", b"", b"", b"<0.10>", b"<5.100>", b"<99999999.10>", b"<0.4294967295>")
_ITEMS = (
    *(b"UID", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY", b"BODYSTRUCTURE", b"RFC822"),
    *(b"RFC822.HEADER", b"RFC822.TEXT", b"uid", b"Flags"),
)
_WORDS = (b"linux", b"perl", b"example", b"SPAM", b"xyzzy", b"ann", b"re", b'""', b'"the of"')
_BARE_KEYS = (
    *(b"ALL", b"ANSWERED", b"DELETED", b"DRAFT", b"FLAGGED", b"NEW", b"OLD", b"RECENT", b"SEEN", b"UNANSWERED"),
    *(b"UNDELETED", b"UNDRAFT", b"UNFLAGGED", b"UNSEEN"),
)
_TEXT_KEYS = (
    *(b"SUBJECT", b"FROM", b"TO", b"BODY", b"TEXT", b"CC", b"BCC", b"HEADER Subject", b"HEADER X-None"),
    *(b"HEADER Message-ID", b"HEADER References"),
)
_DATES = (b"1-Sep-2002", b"15-Sep-2002", b"01-Jan-2020", b'"28-Sep-2002"', b"1-jan-2030")
_STATUS = (b"MESSAGES", b"RECENT", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN", b"SIZE", b"HIGHESTMODSEQ")
_NONSENSE = (
    *(b"", b"FETCH", b"FETCH 1", b"FETCH 1 ()", b"FETCH 1 (FLAGS", b"FETCH 1 FLAGS)", b"FETCH 1 NONSENSE", b"UID"),
    *(b"FETCH 1 BODY[", b"FETCH 1 BODY[1.]", b"FETCH 1 BODY[MIME]", b"FETCH 1 BODY[]<1.0>", b"FETCH 1 BODY[0]"),
    *(b"STORE 1 FLAGS", b"STORE 1 FLAGS (\\Recent)", b"STORE 1 FLAG (\\Seen)", b"STORE 1 +FLAGS (\\Nonsense)"),
    *(b"SEARCH", b"SEARCH NONSENSE", b"SEARCH (", b"SEARCH OR ALL", b"SEARCH NOT", b"SEARCH CHARSET X-NONE ALL"),
    *(b"SEARCH ON 31-Feb-2002", b"SEARCH LARGER x", b"SEARCH HEADER x", b"SEARCH UID x", b"SEARCH RETURN (X) ALL"),
    *(b"COPY 1", b"COPY", b"MOVE 1", b"SELECT", b'SELECT ""', b"SELECT a b", b"CREATE", b'CREATE ""', b"DELETE"),
    *(b"RENAME a", b"LIST", b'LIST ""', b'LSUB ""', b"STATUS", b"STATUS a", b"STATUS a ()", b"STATUS a (X)", b"APPEND"),
    *(b"APPEND a", b"NONSENSE", b"UID NONSENSE", b"UID EXPUNGE", b"CLOSE x", b"NOOP x", b"LOGIN a b", b"STARTTLS"),
    *(b"AUTHENTICATE PLAIN", b'SELECT "a', b"EXPUNGE 1", b"ENABLE", b"ID", b"SUBSCRIBE", b"DELETE INBOX"),
    *(b"CREATE INBOX", b"CREATE a//b", b"CREATE /a", b"SELECT a (NONSENSE)", b"STATUS (MESSAGES) a", b"SELECT &&&"),
)
_RENAMED = re.compile(rb'RENAME (?:"(?:\\.|[^"])*"|\S+) (.+)\Z')
_WEIGHTS = {b"QRESYNC": 8, b"UNAUTHENTICATE": 1, b"CONDSTORE": 4, b"OBJECTID": 4}
"""How often an extension is drawn; 2 is usual."""
_MODES = {b"QRESYNC": 3, b"CONDSTORE": 4, b"UTF8=ACCEPT": 6, b"IMAP4rev2": 5, b"UIDONLY": 10}
"""What is enabled at the beginning, once in so many connections."""


def _small() -> list[bytes]:
    """Short messages that servers agree about.

    No multipart ends where the one around it ends: the line end between the two delimiters belongs to the second
    (RFC 2046 §5.1.1), but Dovecot counts it to the inner part, too. What is in no RFC is not compared: a multipart
    without parts, a subject that comes twice, how deep messages may lie in each other, parameters without a value,
    addresses that are none, when a message without a Date was sent.
    """
    short = (each for each in messages() if 40 < len(each) < 20_000 and b"\0" not in each and b"\r\n" in each)
    alike = (_ENDS_TWICE.sub(rb"\1\r\n\2", each) for each in short if not _NOT_ALIKE.search(each))
    return [each if b"\nDate: " in each else _DATE + each for each in alike]


_ENDS_TWICE = re.compile(rb"(\n--[^\r\n]+--\r\n)(--)")
_NOT_ALIKE = re.compile(
    rb"mixed\r\n|boundary=none|boundary=x|Subject: one|(?:message/rfc822\r\n\r\nContent-Type: ){3}|charset\r"
    rb"|undisclosed|nonsense|b0099|Date: never"
)
_DATE = b"Date: Sun, 1 Sep 2002 12:00:00 +0200\r\n"


class Sessions:
    """A source of commands.

    Args:
        seed: the session's number.
        capabilities: what both servers announce.
    """

    def __init__(self, seed: int, capabilities: Collection[bytes] = ()) -> None:
        self._draw = random.Random(seed)
        self._messages = _small()
        self.connections = self._draw.randint(1, 3)
        self._kinds: dict[str, tuple[int, Callable[[], Pieces]]] = {
            "append": (8, self._append),
            "select": (6, self._select),
            "fetch": (16, self._fetch),
            "store": (12, self._store),
            "search": (12, self._search),
            "copy": (5, self._copy),
            "expunge": (4, self._expunge),
            "folders": (5, self._folders),
            "list": (5, self._list),
            "status": (3, self._status),
            "leave": (1, self._leave),
            "nothing": (6, self._nothing),
            "logout": (1, lambda: (b"LOGOUT",)),
            "nonsense": (4, lambda: (self._one(_NONSENSE),)),
        }
        self._extensions = Extensions(self._draw, self._messages, self._folder, capabilities)
        for name in self._extensions.names():
            self._kinds[name.decode()] = (_WEIGHTS.get(name, 2), partial(self._extensions.command, name))
        self._enabled = [name for name in _MODES if name in capabilities]
        self._due: list[tuple[int, Pieces]] = []

    def opening(self) -> list[tuple[int, Pieces]]:
        """What makes the session worth watching: two folders, one with messages and selected.

        A connection of its own (the last) makes them; it asks for mod-sequences, which some servers keep from then on.
        """
        last = self.connections
        logins = [(number, self._extensions.login()) for number in range(last + 1)]
        commands: list[Pieces] = [
            (b"CREATE a",),
            (b"SELECT a (CONDSTORE)",),
            (b"CREATE b",),
            (b"SELECT b (CONDSTORE)",),
        ]
        commands += [(b"UNSELECT",), *(self._append(b"a") for _ in range(self._draw.randint(0, 6)))]
        steps = logins + [(last, command) for command in commands]
        for number in range(self.connections):
            for name in self._enabled:
                if self._chance(_MODES[name]):
                    steps.append((number, (b"ENABLE " + name,)))
            steps.append((number, (b"SELECT a",)))
        return steps

    def command(self) -> tuple[int, Pieces]:
        """The next command, and on which connection."""
        if self._due:
            return self._due.pop(0)
        names = list(self._kinds)
        name = self._draw.choices(names, [self._kinds[each][0] for each in names])[0]
        connection, command = self._draw.randrange(self.connections), self._kinds[name][1]()
        if command == (b"UNAUTHENTICATE",):
            self._due = [(connection, each) for each in self._extensions.after_unauthenticate()]
        elif "OBJECTID" in self._kinds and (renamed := _RENAMED.match(first_of(command))):
            self._due = [(connection, (b"STATUS " + renamed[1] + b" (MAILBOXID)",))]
        elif command == (b"LOGOUT",):
            self._due = [(connection, each) for each in (self._extensions.login(), (b"SELECT a",))]
        return connection, command

    def _one(self, some: tuple[bytes, ...]) -> bytes:
        return self._draw.choice(some)

    def _chance(self, one_in: int) -> bool:
        return self._draw.randrange(one_in) == 0

    def _folder(self) -> bytes:
        return self._one((b"a", b"b", *FOLDERS) if self._chance(3) else (b"a", b"b"))

    def _uid(self) -> bytes:
        return b"UID " if self._chance(2) else b""

    def _set(self) -> bytes:
        return self._one(_ODD_SETS if self._chance(10) else _SETS)

    def _flag_list(self) -> bytes:
        return b"(" + b" ".join(self._draw.sample(_FLAGS, self._draw.choice((0, 1, 1, 1, 2, 3)))) + b")"

    def _string(self, octets: bytes) -> Piece:
        if self._chance(4):
            return Literal(octets.strip(b'"'), self._chance(2))
        return octets

    def _append(self, folder: bytes = b"") -> Pieces:
        flags = self._flag_list() + b" " if self._chance(2) else b""
        date = b'"%02d-Sep-2002 12:00:00 +0200" ' % self._draw.randint(1, 28) if self._chance(2) else b""
        octets = self._draw.choice(self._messages)
        return (b"APPEND " + (folder or self._folder()) + b" " + flags + date, Literal(octets, self._chance(2)))

    def _select(self) -> Pieces:
        word = b"EXAMINE " if self._chance(4) else b"SELECT "
        return (word + self._folder() + (b" (CONDSTORE)" if self._chance(5) else b""),)

    def _item(self) -> bytes:
        if self._chance(2):
            return self._one(_ITEMS)
        peek = b".PEEK" if self._chance(2) else b""
        return b"BODY" + peek + b"[" + self._one(_SECTIONS) + b"]" + self._one(_PARTIALS)

    def _fetch(self) -> Pieces:
        start = self._uid() + b"FETCH " + self._set() + b" "
        if self._chance(6):
            return (start + self._one((b"ALL", b"FAST", b"FULL", b"full")),)
        if self._chance(6):
            return (start + b"(FLAGS) (CHANGEDSINCE " + self._one((b"@MODSEQ", b"1")) + b")",)
        if self._chance(3):
            return (start + self._item(),)
        return (start + b"(" + b" ".join(self._item() for _ in range(self._draw.randint(1, 4))) + b")",)

    def _store(self) -> Pieces:
        since = b"(UNCHANGEDSINCE " + self._one((b"@MODSEQ", b"1", b"0")) + b") " if self._chance(5) else b""
        flags = self._flag_list() if not self._chance(4) else self._one(_FLAGS)
        what = self._one((b"FLAGS", b"+FLAGS", b"+FLAGS", b"-FLAGS", b"+flags")) + self._one((b"", b"", b".SILENT"))
        return (self._uid() + b"STORE " + self._set() + b" " + since + what + b" " + flags,)

    def _search(self) -> Pieces:
        start = self._uid() + b"SEARCH "
        if self._chance(3):
            options = self._draw.sample((b"MIN", b"MAX", b"ALL", b"COUNT"), self._draw.randint(0, 4))
            start += b"RETURN (" + b" ".join(options) + b") "
        if self._chance(6):
            start += b"CHARSET " + self._one((b"UTF-8", b"us-ascii", b'"utf-8"')) + b" "
        keys: list[Piece] = [start]
        for number in range(self._draw.randint(1, 3)):
            keys += [b" "] * bool(number)
            keys += self._key(3)
        return tuple(keys)

    def _key(self, depth: int) -> list[Piece]:
        pick = self._draw.randrange(10 if depth else 6)
        if pick < 2:
            name = (
                b"ALL ANSWERED DELETED DRAFT FLAGGED NEW OLD RECENT SEEN UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN"
            )
            return [self._one(tuple(name.split()))]
        if pick == 2:
            name = self._one(
                (b"SUBJECT", b"FROM", b"TO", b"BODY", b"TEXT", b"CC", b"BCC", b"HEADER Subject", b"HEADER X-None")
            )
            return [name + b" ", self._string(self._one(_WORDS))]
        if pick == 3:
            names = (b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE")
            return [self._one(names) + b" " + self._one(_DATES)]
        if pick == 4:
            return [self._one((b"LARGER 1000", b"SMALLER 1000", b"LARGER 0", b"KEYWORD work", b"UNKEYWORD $Junk"))]
        if pick == 5:
            return [self._one((self._set(), b"UID " + self._set(), b"MODSEQ @MODSEQ", b"MODSEQ 1"))]
        if pick < 8:
            return [b"NOT ", *self._key(depth - 1)]
        if pick == 8:
            return [b"OR ", *self._key(depth - 1), b" ", *self._key(depth - 1)]
        return [b"(", *self._key(depth - 1), b" ", *self._key(depth - 1), b")"]

    def _copy(self) -> Pieces:
        word = b"MOVE " if self._chance(2) else b"COPY "
        return (self._uid() + word + self._set() + b" " + self._folder(),)

    def _expunge(self) -> Pieces:
        return (b"UID EXPUNGE " + self._set(),) if self._chance(3) else (b"EXPUNGE",)

    def _folders(self) -> Pieces:
        word = self._one((b"CREATE", b"CREATE", b"DELETE", b"RENAME", b"SUBSCRIBE", b"UNSUBSCRIBE"))
        more = (
            b" " + self._one(FOLDERS) if word == b"RENAME" else b"/" if word == b"CREATE" and self._chance(4) else b""
        )
        if more == b"/":
            return (word + b" b/sub/",)
        return (word + b" " + self._one(FOLDERS) + more,)

    def _list(self) -> Pieces:
        word = self._one((b"LIST", b"LSUB"))
        returns = b""
        if word == b"LIST" and self._chance(4):
            returns = b" RETURN (" + self._one((b"CHILDREN", b"SUBSCRIBED", b"SUBSCRIBED CHILDREN")) + b")"
        return (word + b" " + self._one((b'""', b'""', b"a", b"a/", b'"b/"')) + b" " + self._one(_PATTERNS) + returns,)

    def _status(self) -> Pieces:
        items = b" ".join(self._draw.sample(_STATUS, self._draw.randint(1, 4)))
        return (b"STATUS " + self._one(FOLDERS) + b" (" + items + b")",)

    def _leave(self) -> Pieces:
        return (self._one((b"CLOSE", b"UNSELECT")),)

    def _nothing(self) -> Pieces:
        return (self._one((b"NOOP", b"NOOP", b"NOOP", b"CHECK", b"CHECK", b"CAPABILITY", b"STARTTLS")),)
