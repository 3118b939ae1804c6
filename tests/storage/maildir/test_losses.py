"""What may be lost: the cache without a trace, the state but for what no file says, the UID list for a moment."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from mailpost.mail.flags import FLAGGED, SEEN, FlagChange, Flags, intern_flags
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.maildir.uidlist import parse_uidlist
from mailpost.storage.records import Attribute, NewMessage
from mailpost.wire.imap.structures import summarise
from tests.storage.turning import TurningReactor

SHOWN = (Attribute.SIZE, Attribute.ENVELOPE, Attribute.BODYSTRUCTURE, Attribute.INTERNALDATE, Attribute.OCTETS)
FOLDERS = ("INBOX", "Work", "Work/Done")


class Home:
    """An account that is opened, used and closed again and again."""

    def __init__(self, place: Path, hierarchy: Hierarchy) -> None:
        self.place = place
        self.hierarchy = hierarchy
        self.directories = [layout_of(hierarchy).directory(name) for name in FOLDERS]
        self.root = place / "ann"
        self.reactor = TurningReactor()
        self.logged: list[LogEvent] = []

    def opened(self, use: Callable[[IMailAccount], Any]) -> Any:
        """Open it for this, and close it."""
        answer = self.reactor.answer
        store = MaildirStore(
            self.reactor, lambda user: self.place / user, summarise, hierarchy=self.hierarchy, use_inotify=False
        )
        globalLogPublisher.addObserver(self.logged.append)
        try:
            account = answer(store.account("ann"))
            try:
                return use(account)
            finally:
                account.release()
        finally:
            answer(store.close())
            globalLogPublisher.removeObserver(self.logged.append)

    def fill(self, account: IMailAccount) -> None:
        """Three folders with messages, some flagged, some expunged."""
        answer = self.reactor.answer
        for name in FOLDERS:
            if name != "INBOX":
                answer(account.create(name))
            flags = intern_flags([SEEN, "$Work"])
            letters = [
                NewMessage(
                    b"Subject: %d in %b\r\n\r\ntext\r\n" % (number, name.encode()), flags, 1_000_000_000 + number
                )
                for number in range(12)
            ]
            answer(account.append(name, letters))
            mailbox = answer(account.open(name))
            answer(mailbox.store([2, 5, 12], FlagChange.ADD, intern_flags([r"\Deleted"])))
            answer(mailbox.expunge())
            answer(mailbox.store([3, 4], FlagChange.ADD, intern_flags([FLAGGED, "$Later"])))
            mailbox.release()

    def seen(self, account: IMailAccount) -> dict[str, Any]:
        """Everything that a client sees: UIDVALIDITY, and by UID flags and values."""
        answer = self.reactor.answer
        found: dict[str, Any] = {}
        for name in FOLDERS:
            mailbox = answer(account.open(name))
            live = mailbox.live
            flags: dict[int, Flags] = dict(zip(live.uids, live.flags, strict=True))
            found[name] = live.uidvalidity, {row[0]: (flags[row[0]], row[1:]) for row in answer(_rows(mailbox))}
            mailbox.release()
        return found

    def look(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.opened(self.seen)
        return seen


async def _rows(mailbox: Any) -> list[tuple[Any, ...]]:
    return [row async for batch in mailbox.fetch(mailbox.live.uids[:], SHOWN) for row in batch]


@pytest.fixture(params=Hierarchy, ids=lambda hierarchy: hierarchy.value)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path, request.param)
    home.opened(home.fill)
    return home


def noise(path: Path, start: int = 0) -> None:
    """Overwrite a file from here on with octets that mean nothing."""
    octets = path.read_bytes()
    assert len(octets) > start
    path.write_bytes(octets[:start] + random.Random(1).randbytes(len(octets) - start))


def remove(path: Path) -> None:
    path.unlink()


def noise_behind_the_header(path: Path) -> None:
    noise(path, 4096)


@pytest.mark.parametrize("harm", [remove, noise, noise_behind_the_header])
def test_the_cache_may_be_lost(home: Home, harm: Callable[[Path], None]) -> None:
    before = home.look()
    harm(home.root / "mailpost-cache.sqlite3")
    assert home.look() == before
    assert home.look() == before


@pytest.mark.parametrize("harm", [remove, noise, noise_behind_the_header])
def test_the_state_may_be_lost(home: Home, harm: Callable[[Path], None]) -> None:
    before = home.look()
    next_uids = {name: max(messages) + 1 for name, (_, messages) in before.items()}
    home.logged.clear()
    harm(home.root / "mailpost-state.sqlite3")
    assert home.look() == before
    said = [event for event in home.logged if "the index of {user}" in (event.get("log_format") or "")]
    assert len(said) == 1, "it is said in the log"
    aside = [path.name for path in home.root.iterdir() if "corrupt" in path.name]
    assert bool(aside) == (harm is not remove)
    assert home.look() == before

    def append(account: IMailAccount) -> None:
        for name in FOLDERS:
            appended = home.reactor.answer(account.append(name, [NewMessage(b"Subject: new\r\n\r\n")]))
            assert appended.uids[0] >= next_uids[name]

    home.opened(append)


@pytest.mark.parametrize("harm", [remove, noise])
def test_the_uid_list_is_written_again(home: Home, harm: Callable[[Path], None]) -> None:
    before = home.look()
    for directory in home.directories:
        harm(home.root / directory / "dovecot-uidlist")
    assert home.look() == before
    for name, directory in zip(FOLDERS, home.directories, strict=True):
        listed = parse_uidlist((home.root / directory / "dovecot-uidlist").read_bytes())
        assert listed is not None
        assert listed.uidvalidity == before[name][0]
        assert sorted(entry.uid for entry in listed.entries.values()) == sorted(before[name][1])


def test_the_state_may_be_lost_after_the_uid_list_was(home: Home) -> None:
    before = home.look()
    for directory in home.directories:
        (home.root / directory / "dovecot-uidlist").unlink()
    home.look()
    for path in home.root.glob("mailpost-*"):
        path.unlink()
    assert home.look() == before
