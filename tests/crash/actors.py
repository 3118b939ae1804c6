"""Clients that change an account until the server dies, and remember what it acknowledged."""

from __future__ import annotations

import imaplib
import random
import re
from collections.abc import Callable, Sequence

from tests.crash.ledger import Box, Letter, Step, Tree, after, digest, with_added
from tests.crash.workers import Worker

FLAGS = (r"\Seen", r"\Answered", r"\Flagged", r"\Draft", "$Work", "$Later", "urgent")
MOST_LETTERS = 40
SHARED = "Shared"
_ITEM = re.compile(rb"UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_LIST = re.compile(rb'\(([^)]*)\) "/" "?(.*?)"?$')
_BIG = 300_000


class RefusedError(Exception):
    """The server said NO or BAD to a command that it should have done."""


def connected(port: int, user: str = "ann") -> imaplib.IMAP4:
    """A client."""
    client = imaplib.IMAP4("127.0.0.1", port, timeout=20)
    client.login(user, "pass")
    return client


def done(client: imaplib.IMAP4, answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    """The data of an answer that must be OK."""
    if answer[0] != "OK":
        raise RefusedError(f"{answer}")
    return answer[1]


def folder_names(client: imaplib.IMAP4) -> list[str]:
    """All folders that can be selected."""
    found = []
    for line in done(client, client.list()):
        match = _LIST.match(line) if isinstance(line, bytes) else None
        if match is not None and b"\\Noselect" not in match[1]:
            found.append(match[2].decode())
    return found


def read_box(client: imaplib.IMAP4, name: str, digested: Callable[[bytes], str] = digest) -> Box:
    """A folder as the server shows it."""
    done(client, client.select(f'"{name}"', readonly=True))
    uidvalidity, uidnext = (int(client.response(code)[1][0] or 0) for code in ("UIDVALIDITY", "UIDNEXT"))
    letters: dict[int, Letter] = {}
    data = done(client, client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])"))
    for number, item in enumerate(data):
        if isinstance(item, tuple):
            behind = data[number + 1]
            facts = item[0] + (behind if isinstance(behind, bytes) else b"")
            uid, flags = _ITEM.search(facts), _FLAGS.search(facts)
            assert uid is not None and flags is not None, facts
            assert int(uid[1]) not in letters, f"{name}: UID {uid[1]!r} is there twice"
            letters[int(uid[1])] = Letter(digested(item[1]), frozenset(flags[1].decode().split()) - {r"\Recent"})
    return Box(uidvalidity, uidnext, letters)


def read_tree(client: imaplib.IMAP4, wanted: Callable[[str], bool]) -> dict[str, Box]:
    """Those of the folders."""
    return {name: read_box(client, name) for name in folder_names(client) if wanted(name)}


def numbers(text: object) -> list[int]:
    """The UIDs of a set as the server writes it."""
    assert isinstance(text, bytes)
    found: list[int] = []
    for part in text.decode().split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


class Actor(Worker):
    """One client with folders of its own, which begin with its name, and one in which all append."""

    def __init__(self, name: str, draw: random.Random) -> None:
        super().__init__(name, draw)
        self.tree: Tree = {}
        self.shared: dict[int, Letter] = {}
        """What it appended to the shared folder and was acknowledged."""
        self.in_doubt: Step | None = None
        self.acknowledged = 0
        self._selected = ""

    def owns(self, folder: str) -> bool:
        """Whether a folder is its own."""
        return folder.startswith(self.name + "-")

    def begin_reading(self, port: int) -> None:
        """Log in and look at all folders, in a thread."""
        self._run(self._read, port)

    def _read(self, port: int) -> None:
        try:
            client = connected(port)
            read_tree(client, bool)
        except (OSError, imaplib.IMAP4.abort):
            return

    def _work(self, port: int) -> None:
        self._selected = ""
        try:
            client = connected(port)
            while True:
                self._act(client)
                self.acknowledged += 1
        except (OSError, imaplib.IMAP4.abort):
            return
        except (RefusedError, imaplib.IMAP4.error, AssertionError) as problem:
            self.refusals.append(f"{self.name}, {self.in_doubt}: {problem}")

    # -- what it does

    def _act(self, client: imaplib.IMAP4) -> None:
        for kind in ("work", "work/sub", "side"):
            if not any(self._is(name, kind) for name in self.tree):
                self._create(client, f"{self.name}-{kind}")
                return
        full = max(len(box.letters) for box in self.tree.values()) > MOST_LETTERS
        actions = [
            (4, self._append),
            (3, self._append_shared),
            (3, self._copy),
            (3, self._move),
            (3, self._flag),
            (9 if full else 2, self._expunge),
            (1, self._rename),
            (1, self._come_and_go),
            (1, self._visit),
        ]
        weights, choices = zip(*actions, strict=True)
        self._draw.choices(choices, weights)[0](client)

    def _is(self, name: str, kind: str) -> bool:
        """Whether this is the folder "work" (whatever its number is), "work/sub" or "side"."""
        return re.sub(r"\d+(?=/|$)", "", name.removeprefix(self.name + "-")) == kind

    def _folder(self) -> str:
        return self._draw.choice([name for name in self.tree if not self._is(name, "passing")])

    def _some(self, name: str) -> list[int]:
        uids = list(self.tree[name].letters)
        return sorted(self._draw.sample(uids, min(len(uids), self._draw.choice((1, 2, 5, 12)))))

    def _flags(self) -> frozenset[str]:
        return frozenset(self._draw.sample(FLAGS, self._draw.randint(0, 3)))

    def _message(self) -> bytes:
        size = self._draw.choice((10, 10, 300, 3_000, _BIG if self._draw.random() < 0.1 else 20))
        text = b"\r\n".join(b"%060d" % self._draw.getrandbits(64) for _ in range(size // 60 + 1))
        return b"From: %b@example.org\r\nSubject: %d\r\n\r\n%b\r\n" % (self.name.encode(), next(self._count), text)

    def _select(self, client: imaplib.IMAP4, name: str) -> None:
        if self._selected != name:
            done(client, client.select(f'"{name}"'))
            self._selected = name

    def _do(self, client: imaplib.IMAP4, step: Step, command: Callable[[], tuple[str, Sequence[object]]]) -> None:
        """Do it; what it takes away or changes is noted when it is acknowledged."""
        for code in ("APPENDUID", "COPYUID"):
            client.response(code)  # of the last one
        self.in_doubt = step
        done(client, command())
        self.tree = after(self.tree, step)

    def _append_to(self, client: imaplib.IMAP4, name: str, kind: str) -> tuple[int, Letter]:
        octets, flags = self._message(), self._flags()
        letter = Letter(digest(octets), flags)
        step = Step(kind, added={name: [letter]})
        self._do(client, step, lambda: client.append(f'"{name}"', f"({' '.join(flags)})", None, octets))  # type: ignore[arg-type]
        code = client.response("APPENDUID")[1][0]
        assert isinstance(code, bytes), "no APPENDUID"
        return int(code.split()[1]), letter

    def _append(self, client: imaplib.IMAP4) -> None:
        name = self._folder()
        uid, letter = self._append_to(client, name, "append")
        self.tree = with_added(self.tree, name, [uid], [letter])
        self.in_doubt = None

    def _append_shared(self, client: imaplib.IMAP4) -> None:
        uid, letter = self._append_to(client, SHARED, "append to the shared folder")
        assert uid not in self.shared, f"UID {uid} was given twice"
        self.shared[uid] = letter
        self.in_doubt = None

    def _copy(self, client: imaplib.IMAP4, move: bool = False) -> None:
        source, target = self._folder(), self._folder()
        uids = self._some(source)
        if not uids or (move and source == target):
            return
        self._select(client, source)
        letters = [self.tree[source].letters[uid] for uid in uids]
        removed = {source: frozenset(uids)} if move else {}
        step = Step("move" if move else "copy", added={target: letters}, removed=removed)
        self._do(client, step, lambda: client.uid(step.kind.upper(), ",".join(map(str, uids)), f'"{target}"'))
        code = client.response("COPYUID")[1][0]
        assert isinstance(code, bytes), "no COPYUID"
        _, copied, given = code.split()
        assert numbers(copied) == uids, f"{copied!r} of {uids}"
        self.tree = with_added(self.tree, target, numbers(given), letters)
        self.in_doubt = None

    def _move(self, client: imaplib.IMAP4) -> None:
        self._copy(client, move=True)

    def _flag(self, client: imaplib.IMAP4, deleted: bool = False) -> None:
        name = self._folder()
        uids, flags = self._some(name), self._flags()
        if not uids:
            return
        self._select(client, name)
        how = self._draw.choice(("+FLAGS", "-FLAGS", "FLAGS"))
        changes = {
            "+FLAGS": lambda before: before | flags,
            "-FLAGS": lambda before: before - flags,
            "FLAGS": lambda before: flags,
        }
        now = {uid: changes[how](self.tree[name].letters[uid].flags) for uid in uids}
        step = Step("flags", flagged={name: now})
        self._do(client, step, lambda: client.uid("STORE", ",".join(map(str, uids)), how, f"({' '.join(flags)})"))
        self.in_doubt = None

    def _expunge(self, client: imaplib.IMAP4) -> None:
        name = max(self.tree, key=lambda each: len(self.tree[each].letters))
        uids = self._some(name)
        if not uids:
            return
        self._select(client, name)
        doomed = ",".join(map(str, uids))
        now = {uid: self.tree[name].letters[uid].flags | {r"\Deleted"} for uid in uids}
        step = Step("flags", flagged={name: now})
        self._do(client, step, lambda: client.uid("STORE", doomed, "+FLAGS.SILENT", r"(\Deleted)"))
        step = Step("expunge", removed={name: frozenset(uids)})
        self._do(client, step, lambda: client.uid("EXPUNGE", doomed))
        self.in_doubt = None

    def _visit(self, client: imaplib.IMAP4) -> None:
        """Look for what has been delivered."""
        self._select(client, "INBOX")
        done(client, client.noop())

    # -- folders

    def _create(self, client: imaplib.IMAP4, name: str) -> None:
        top = name.partition("/")[0]
        if "/" in name:  # below the folder as it is called now
            top = next(each for each in self.tree if self._is(each, "work"))
            name = f"{top}/sub"
        self._do(client, Step("create", created=name), lambda: client.create(f'"{name}"'))
        self.tree = {**self.tree, name: read_box(client, name)}
        self._selected = ""
        self.in_doubt = None

    def _rename(self, client: imaplib.IMAP4) -> None:
        old = next(name for name in self.tree if self._is(name, "work"))
        new = f"{self.name}-work{next(self._count)}"
        self._do(client, Step("rename", renamed=(old, new)), lambda: client.rename(f'"{old}"', f'"{new}"'))
        self._selected = ""
        self.in_doubt = None

    def _come_and_go(self, client: imaplib.IMAP4) -> None:
        passing = [name for name in self.tree if self._is(name, "passing")]
        if not passing:
            self._create(client, f"{self.name}-passing")
            return
        if self._selected == passing[0]:
            self._select(client, "INBOX")
        self._do(client, Step("delete", deleted=passing[0]), lambda: client.delete(f'"{passing[0]}"'))
        self.in_doubt = None
