"""Copies of sent mail: the client's own wins, whichever comes first. RFC: 6154 §2, 5322 §3.6.4"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from mailpost.delivery.sent import LATEST, MARK, SentCopies, WatchedStore
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, FLAGGED, SEEN, FlagChange
from mailpost.storage.interfaces import IMailAccount, IMailStore
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.offload import settled
from mailpost.storage.records import NewMessage, SpecialUse
from mailpost.wire.imap.structures import summarise
from tests.delivery.post import mail_of
from tests.storage.turning import TurningReactor

HEADER = b"From: ann@example.org\r\nMessage-ID: <1@laptop>\r\nBcc: x@y\r\n\r\n"
BODY = b"text\r\n"
OWN = b"From: ann@example.org\r\nX-Own: yes\r\nMessage-ID: <1@laptop>\r\n\r\ntext\r\n"
AUTOMATIC = MARK + HEADER + BODY


class Home:
    """A store in which ann sends mail; `restart` opens it anew where it is kept."""

    def __init__(self, make: Callable[[TurningReactor], Any]) -> None:
        self.reactor = TurningReactor()
        self._make = make
        self.wants = True
        self._open()

    def _open(self) -> None:
        self.store = self._make(self.reactor)
        self.copies = SentCopies(self.store, self._wanted)
        self.watched = WatchedStore(self.store, self._wanted)

    async def _wanted(self, user: str) -> bool:
        return self.wants

    def answer(self, work: Any) -> Any:
        return self.reactor.answer(work)

    def close(self) -> None:
        self.answer(self.store.close())

    def restart(self) -> None:
        if isinstance(self.store, MaildirStore):
            self.close()
            self._open()

    def submit(self, header: bytes = HEADER, body: bytes = BODY) -> bool:
        """Whether there was a copy to be filed."""
        copy = self.answer(self.copies.begin("ann", header, 100))
        if copy is None:
            return False
        self.answer(copy.write(body))
        self.answer(copy.file())
        return True

    def append(self, octets: bytes = OWN, folder: str = "Sent", spooled: bool = False) -> list[int]:
        """As IMAP's APPEND does: the UIDs."""

        async def work() -> list[int]:
            account = await settled(self.watched.account("ann"))
            try:
                message: Any = octets
                if spooled:
                    message = account.spool(len(octets))
                    await settled(message.write(octets))
                appended = await settled(account.append(folder, [NewMessage(message, frozenset({SEEN}))]))
                return list(appended.uids)
            finally:
                account.release()

        uids: list[int] = self.answer(work())
        return uids

    def sent(self, folder: str = "Sent") -> list[bytes]:
        return [octets for octets, _ in self.answer(mail_of(self.store, "ann", folder))]

    def with_copy(self, work: Callable[[Any, int], Any]) -> None:
        """Do something with the first message of Sent."""

        async def act() -> None:
            account = await settled(self.store.account("ann"))
            mailbox = await settled(account.open("Sent"))
            try:
                await settled(work(mailbox, mailbox.live.uids[0]))
            finally:
                mailbox.release()
                account.release()

        self.answer(act())


@pytest.fixture(params=["memory", "maildir"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    if request.param == "memory":
        made = Home(lambda reactor: MemoryStore(summarise))
    else:
        made = Home(lambda reactor: MaildirStore(reactor, lambda user: tmp_path / user, summarise, use_inotify=False))
    yield made
    made.close()


def test_what_is_sent_is_filed_seen_with_blind_copies(home: Home) -> None:
    assert home.submit()
    assert home.answer(mail_of(home.store, "ann", "Sent")) == [(AUTOMATIC, frozenset({SEEN}))]


def test_the_clients_own_copy_takes_its_place(home: Home) -> None:
    home.submit()
    uids = home.append()
    assert home.sent() == [OWN]
    assert uids == [2]


def test_even_after_a_restart(home: Home) -> None:
    home.submit()
    home.restart()
    home.append(spooled=True)
    assert home.sent() == [OWN]


def test_the_clients_own_copy_came_first(home: Home) -> None:
    home.append()
    home.restart()
    assert not home.submit()
    assert home.sent() == [OWN]


def test_the_clients_own_copy_came_in_between(home: Home) -> None:
    copy = home.answer(home.copies.begin("ann", HEADER, 100))
    home.append()
    home.answer(copy.write(BODY))
    home.answer(copy.file())
    assert home.sent() == [OWN]


def test_two_that_are_filed_at_once_end_as_one(home: Home) -> None:
    first, second = (home.answer(home.copies.begin("ann", HEADER, 100)) for _ in range(2))
    for copy in (first, second):
        home.answer(copy.write(BODY))
    for copy in (first, second):
        home.answer(copy.file())
    assert home.sent() == [AUTOMATIC]
    home.append()
    assert home.sent() == [OWN]


def test_other_messages_and_folders_are_left_alone(home: Home) -> None:
    home.submit()
    home.append(OWN.replace(b"<1@laptop>", b"<2@laptop>"))
    home.append(OWN, "Archive")
    home.append(OWN.replace(b"Message-ID: <1@laptop>\r\n", b""))
    assert len(home.sent()) == 3
    assert AUTOMATIC in home.sent()


def test_a_copy_that_somebody_touched_stays(home: Home) -> None:
    home.submit()
    home.with_copy(lambda mailbox, uid: mailbox.store([uid], FlagChange.ADD, frozenset({FLAGGED})))
    home.append()
    assert sorted(home.sent()) == sorted([AUTOMATIC, OWN])


def test_a_copy_that_was_marked_for_deletion_goes(home: Home) -> None:
    """As when the server dies between the mark and the removal."""
    home.submit()
    home.with_copy(lambda mailbox, uid: mailbox.store([uid], FlagChange.ADD, frozenset({DELETED})))
    home.append()
    assert home.sent() == [OWN]


def test_a_copy_that_was_moved_or_copied_stays_where_it_went(home: Home) -> None:
    home.submit()
    home.with_copy(lambda mailbox, uid: mailbox.copy([uid], "Archive"))
    home.append()
    assert (home.sent(), home.sent("Archive")) == ([OWN], [AUTOMATIC])


def test_only_the_latest_are_looked_at(home: Home) -> None:
    home.submit()
    for number in range(LATEST + 1):
        home.append(OWN.replace(b"<1@laptop>", b"<other%d@laptop>" % number))
    home.append()
    assert len(home.sent()) == LATEST + 3, "a bounded look costs an old copy staying"


def test_who_wants_no_copies_has_none(home: Home) -> None:
    home.wants = False
    assert not home.submit()
    home.append()
    assert home.sent() == [OWN]


def test_a_folder_of_another_name_and_one_that_is_not_there(home: Home) -> None:
    async def renamed() -> None:
        account = await settled(home.store.account("ann"))
        await settled(account.delete("Sent"))
        await settled(account.create("Gesendet", SpecialUse.SENT))
        account.release()

    home.answer(renamed())
    home.submit()
    home.append(folder="Gesendet")
    assert home.sent("Gesendet") == [OWN]

    async def gone() -> None:
        account = await settled(home.store.account("ann"))
        await settled(account.delete("Gesendet"))
        account.release()

    home.answer(gone())
    home.submit()
    assert home.sent("Sent") == [AUTOMATIC]


def test_a_copy_that_is_given_up_leaves_nothing(home: Home) -> None:
    copy = home.answer(home.copies.begin("ann", HEADER, 100))
    copy.abort()
    copy.abort()
    home.answer(copy.file())
    assert home.sent() == []


def test_a_watched_store_is_a_store(home: Home) -> None:
    assert verifyObject(IMailStore, home.watched)
    account = home.answer(home.watched.account("ann"))
    assert verifyObject(IMailAccount, account)
    assert account.user == "ann"
    account.release()


class FullAccount:
    """An account on a disk that has no room for a copy; it notes what it is given back."""

    def __init__(self, account: IMailAccount) -> None:
        self._account = account
        self.noted: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._account, name)

    def spool(self, size: int) -> Any:
        return self

    def write(self, data: bytes) -> Any:
        raise MailError(ErrorKind.DISK_FULL, "The disk is full")

    def abort(self) -> None:
        self.noted.append("aborted")

    def release(self) -> None:
        self.noted.append("released")
        self._account.release()


def test_a_copy_for_which_there_is_no_room_leaves_nothing_open() -> None:
    reactor = TurningReactor()
    store = MemoryStore(summarise)
    opened: list[FullAccount] = []

    class FullStore:
        async def account(self, user: str) -> Any:
            opened.append(FullAccount(await settled(store.account(user))))
            return opened[-1]

    async def wanted(user: str) -> bool:
        return True

    full: Any = FullStore()
    with pytest.raises(MailError):
        reactor.answer(SentCopies(full, wanted).begin("ann", HEADER, 100))
    assert [each.noted for each in opened] == [["aborted", "released"]]
