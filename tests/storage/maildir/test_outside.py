"""Other programs do what they like in a Maildir: what sessions are told adds up to what a fresh SELECT shows.

Sessions count their messages as clients do, by sequence numbers; no UID ever means another message.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import ANSWERED, DELETED, FLAGGED, SEEN, FlagChange, Flags, intern_flags
from mailpost.mail.selected import SequenceView
from mailpost.storage.live import ChangeKind
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.records import Attribute, NewMessage
from mailpost.wire.imap.structures import summarise
from tests.storage.turning import TurningReactor

FOLDERS = ("INBOX", "Work", "Work/Deep")
LETTERS = {"F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED}
SHOWN = frozenset(LETTERS.values())
names = st.sampled_from(FOLDERS)
others = st.sampled_from(FOLDERS[1:])
picks = st.integers(0, 50)


def octets(token: int) -> bytes:
    return b"Subject: %d\n\ntext\n" % token


def token_of(message: bytes) -> int:
    return int(message.split(b"\n")[0].split()[1])


class Process:
    """A server with the account open."""

    def __init__(self, root: Path, hierarchy: Hierarchy) -> None:
        self.reactor = TurningReactor()
        self.store = MaildirStore(
            self.reactor, lambda _: root, summarise, hierarchy=hierarchy, default_folders={"Work": None}
        )
        self.account: Any = self.reactor.answer(self.store.account("ann"))

    def answer(self, asked: Any) -> Any:
        return self.reactor.answer(asked)

    def close(self) -> None:
        self.account.release()
        self.reactor.answer(self.store.close())

    def tokens(self, mailbox: Any, uids: list[int]) -> dict[int, int]:
        """UID -> which message it is."""

        async def fetched() -> dict[int, int]:
            batches = mailbox.fetch(uids, [Attribute.OCTETS])
            return {uid: token_of(message) async for batch in batches for uid, message in batch}

        found: dict[int, int] = self.answer(fetched())
        return found


@dataclass
class Session:
    """A client in a folder: what it counts, and what it was told of flags."""

    name: str
    mailbox: Any
    uids: list[int] = field(default_factory=list)
    flags: dict[int, Flags] = field(default_factory=dict)

    def __post_init__(self) -> None:
        live = self.mailbox.live
        self.view = SequenceView(live.uids)
        self.cursor = live.attach(self)
        self.uids = list(live.uids)
        self.flags = dict(zip(live.uids, live.flags, strict=True))

    def wake(self) -> None:
        """What is in the journal is read with the next command."""

    def catch_up(self) -> None:
        """The journal is read now; what it says is told later."""
        live = self.mailbox.live
        for change in self.cursor.read():
            if change.kind is ChangeKind.EXPUNGED:
                self.view.expunge(change.uids)
            elif change.kind is ChangeKind.FLAGS:
                self.flags.update(
                    (uid, live.flags[live.position(uid)]) for uid in change.uids if live.position(uid) >= 0
                )

    def told(self) -> list[int]:
        """EXPUNGE, EXISTS and FETCH as the client hears them: the UIDs that went."""
        self.catch_up()
        live = self.mailbox.live
        gone = [self.uids.pop(number - 1) for number in self.view.take_expunges()]
        exists = self.view.take_exists()
        if exists is not None:
            assert exists >= len(self.uids)
            self.uids += [self.view.uid(number) for number in range(len(self.uids) + 1, exists + 1)]
        for uid in self.uids:
            self.flags.setdefault(uid, live.flags[live.position(uid)])
        return gone

    def leave(self) -> None:
        self.cursor.close()
        self.mailbox.release()


class Outside(RuleBasedStateMachine):
    """What other programs and sessions do, and what must be there then."""

    hierarchy = Hierarchy.MAILDIR_PLUS_PLUS

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="outside-")) / "ann"
        self.truth: dict[str, dict[int, set[str]]] = {}
        """Folder -> message -> letters."""
        self.meant: dict[tuple[str, int, int], int] = {}
        """(folder, UIDVALIDITY, UID) -> message."""
        self.sessions: list[Session] = []
        self.tokens = 0

    @initialize()
    def begin(self) -> None:
        self.process = Process(self.root, self.hierarchy)
        self.truth = {"INBOX": {}, "Work": {}}
        for name in ("INBOX", "INBOX", "INBOX", "Work"):
            self.deliver(name)
        self.select("INBOX")
        self.select("Work")

    # -- other programs

    def place(self, name: str) -> Path:
        return self.root / layout_of(self.hierarchy).directory(name)

    def files(self, name: str, *places: str) -> list[Path]:
        return sorted(each for place in places for each in (self.place(name) / place).iterdir())

    def token(self) -> int:
        self.tokens += 1
        return self.tokens

    @rule(name=names)
    def deliver(self, name: str) -> None:
        if name in self.truth:
            token = self.token()
            file = self.place(name) / "tmp" / f"{1_500_000_000 + token}.outside"
            file.write_bytes(octets(token))
            file.rename(self.place(name) / "new" / file.name)
            self.truth[name][token] = set()

    @rule(name=names, letters=st.sets(st.sampled_from(sorted(LETTERS))))
    def deliver_into_cur(self, name: str, letters: set[str]) -> None:
        """As mbsync and mutt do it."""
        if name in self.truth:
            token = self.token()
            file = self.place(name) / "tmp" / f"{1_500_000_000 + token}.outside"
            file.write_bytes(octets(token))
            file.rename(self.place(name) / "cur" / f"{file.name}:2,{''.join(sorted(letters))}")
            self.truth[name][token] = letters

    @rule(name=names, pick=picks)
    def look_at_a_new_one(self, name: str, pick: int) -> None:
        """A mail program moves a message from new to cur."""
        files = self.files(name, "new") if name in self.truth else []
        if files:
            file = files[pick % len(files)]
            file.rename(self.place(name) / "cur" / f"{file.name}:2,")

    @rule(name=names, pick=picks, letter=st.sampled_from(sorted(LETTERS)))
    def change_a_flag(self, name: str, pick: int, letter: str) -> None:
        files = self.files(name, "cur") if name in self.truth else []
        if files:
            file = files[pick % len(files)]
            token = token_of(file.read_bytes())
            if token not in self.truth[name]:
                return  # expunged: its file is on its way out
            base, _, said = file.name.partition(":2,")
            now = set(said) ^ {letter}
            file.rename(file.with_name(f"{base}:2,{''.join(sorted(now))}"))
            (self.truth[name][token].add if letter in now else self.truth[name][token].discard)(letter)

    @rule(name=names, pick=picks)
    def remove_a_message(self, name: str, pick: int) -> None:
        files = self.files(name, "cur", "new") if name in self.truth else []
        if files:
            file = files[pick % len(files)]
            self.truth[name].pop(token_of(file.read_bytes()), None)
            file.unlink()

    @rule(name=others)
    def make_or_remove_a_folder(self, name: str) -> None:
        if name not in self.truth:
            for place in ("new", "tmp", "cur"):
                (self.place(name) / place).mkdir(parents=True, exist_ok=True)
            self.truth[name] = {}
            return
        del self.truth[name]
        while within := [each for each in self.place(name).iterdir() if self.place("Work/Deep") != each]:
            for each in within:  # the server may be writing its list just now
                shutil.rmtree(each, ignore_errors=True) if each.is_dir() else each.unlink(missing_ok=True)
        with suppress(OSError):  # another folder is within
            self.place(name).rmdir()

    # -- sessions

    @rule(name=names)
    def select(self, name: str) -> None:
        if len(self.sessions) < 5:
            try:
                self.sessions.append(Session(name, self.process.answer(self.process.account.open(name))))
            except MailError as error:
                assert error.kind in (ErrorKind.NO_SUCH_FOLDER, ErrorKind.NOT_SELECTABLE), error
                assert name not in self.truth, error

    @precondition(lambda self: self.sessions)
    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        self.sessions.pop(pick % len(self.sessions)).leave()

    @rule(pick=picks)
    def noop(self, pick: int) -> None:
        if self.sessions:
            session = self.sessions[pick % len(self.sessions)]
            self.process.answer(session.mailbox.refresh())
            if not session.mailbox.live.gone:
                session.told()

    @rule(pick=picks, which=picks, letter=st.sampled_from(sorted(LETTERS)), change=st.sampled_from(["ADD", "REMOVE"]))
    def store(self, pick: int, which: int, letter: str, change: str) -> None:
        session = self.alive(pick)
        if session is not None and session.uids:
            uid = session.uids[which % len(session.uids)]
            token = self.process.tokens(session.mailbox, [uid]).get(uid)
            if token in self.truth.get(session.name, {}):
                self.process.answer(session.mailbox.store([uid], FlagChange[change], intern_flags([LETTERS[letter]])))
                letters = self.truth[session.name][token]  # type: ignore[index]
                (letters.add if change == "ADD" else letters.discard)(letter)

    @rule(pick=picks)
    def expunge(self, pick: int) -> None:
        session = self.alive(pick)
        if session is not None:
            self.process.answer(session.mailbox.expunge(None))
            kept = {token: letters for token, letters in self.truth[session.name].items() if "T" not in letters}
            self.truth[session.name] = kept

    @rule(name=names)
    def append(self, name: str) -> None:
        token = self.token()
        message = NewMessage(octets(token).replace(b"\n", b"\r\n"), intern_flags([SEEN]), 1_600_000_000)
        if name in self.truth:
            self.process.answer(self.process.account.append(name, [message]))
            self.truth[name][token] = {"S"}

    def alive(self, pick: int) -> Session | None:
        """A session that has just heard everything, in a folder that is still there."""
        if not self.sessions:
            return None
        session = self.sessions[pick % len(self.sessions)]
        self.process.answer(session.mailbox.refresh())
        if session.mailbox.live.gone or session.name not in self.truth:
            return None
        session.told()
        return session

    # -- what is there

    @rule()
    def compare(self) -> None:
        """All sessions hear what there is to hear; then each has what a server that comes new to it shows."""
        for session in self.sessions:
            self.process.answer(session.mailbox.refresh())
        gone = [session for session in self.sessions if session.mailbox.live.gone]
        for session in gone:
            session.leave()
            self.sessions.remove(session)
        for session in self.sessions:
            session.told()
        self.process.answer(self.process.account.sync())
        assert {each.name for each in self.process.account.folders() if each.selectable} == set(self.truth)
        fresh = Process(self.root, self.hierarchy)
        try:
            assert {each.name for each in fresh.account.folders() if each.selectable} == set(self.truth)
            for name, expected in self.truth.items():
                self.compare_folder(fresh, name, expected)
        finally:
            fresh.close()

    def compare_folder(self, fresh: Process, name: str, expected: dict[int, set[str]]) -> None:
        mailbox = fresh.answer(fresh.account.open(name))
        uids, flags = list(mailbox.live.uids), dict(zip(mailbox.live.uids, mailbox.live.flags, strict=True))
        tokens = fresh.tokens(mailbox, uids)
        for uid, token in tokens.items():
            assert self.meant.setdefault((name, mailbox.live.uidvalidity, uid), token) == token, "a UID means another"
        found = {tokens[uid]: flags[uid] & SHOWN for uid in uids}
        assert found == {token: frozenset(LETTERS[each] for each in letters) for token, letters in expected.items()}
        for session in self.sessions:
            if session.name == name:
                assert session.mailbox.live.uidvalidity == mailbox.live.uidvalidity
                assert session.uids == uids
                assert {uid: session.flags[uid] & SHOWN for uid in uids} == {uid: flags[uid] & SHOWN for uid in uids}
        mailbox.release()

    def teardown(self) -> None:
        try:
            if self.truth:
                self.compare()
        finally:
            for session in self.sessions:
                session.leave()
            if self.truth:
                self.process.close()
            shutil.rmtree(self.root.parent)


class NestedOutside(Outside):
    """The same where folders lie in each other."""

    hierarchy = Hierarchy.FS


for machine in (Outside, NestedOutside):
    machine.TestCase.settings = settings(
        max_examples=int(os.environ.get("MAILPOST_OUTSIDE_EXAMPLES", "15")),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
TestOutside = Outside.TestCase
TestNestedOutside = NestedOutside.TestCase
