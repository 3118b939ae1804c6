"""One folder of a server, in the reactor's thread: what the tests' folders do there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import FlagChange, Flags, canonical, intern_flags
from mailpost.mail.searchkeys import And, SearchKey, Uids
from mailpost.mail.uidset import UidSet
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox, IMailStore
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, NewMessage
from mailpost.testing.criteria import Criteria
from mailpost.testing.mail import Mail, read_mail

POLL = 0.05
"""Seconds between looks for a folder that is not there yet."""
AT_ONCE = 1000
"""Messages put in before the reactor has a turn."""


@dataclass(slots=True)
class Cursor:
    """A place in a folder: what is there before it is old. A mail that a wait has given is old as well.

    `folder.cursor()` makes one; give it to `wait(after=cursor)`.
    """

    mailbox_id: str = ""
    uidnext: int = 1
    """The first UID that is new."""
    taken: set[int] = field(default_factory=set)

    def enter(self, box: IMailpostMailbox) -> None:
        """Stand in this folder; one that was deleted and made again is new as a whole."""
        if self.mailbox_id != box.live.mailbox_id:
            if self.mailbox_id:
                self.uidnext = 1
                self.taken.clear()
            self.mailbox_id = box.live.mailbox_id

    def why_old(self, uid: int) -> str:
        """Why a mail is not new; "" if it is."""
        if uid < self.uidnext:
            return "was here before"
        return "given by an earlier wait" if uid in self.taken else ""


class Waker:
    """A watcher of a live mailbox that remembers to have been woken."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.was_woken = False
        self._waiting: Deferred[None] | None = None

    def wake(self) -> None:
        """Something is in the journal."""
        self.was_woken = True
        self._fire()

    def catch_up(self) -> None:
        """The journal is not read here; the columns are."""
        self.wake()

    async def woken(self, seconds: float) -> None:
        """Come back when something has happened, or after so many seconds."""
        if not self.was_woken:
            self._waiting = Deferred()
            late: IDelayedCall = self._reactor.callLater(seconds, self._fire)
            try:
                await self._waiting
            finally:
                if late.active():
                    late.cancel()

    def _fire(self) -> None:
        # In a turn of its own: whoever changes a mailbox does not run those who watch it.
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            self._reactor.callLater(0, lambda: None if waiting.called else waiting.callback(None))


class Mailbox:
    """One folder of one user.

    Args:
        reactor: time, real.
        store: where it is.
        user: whose it is.
        name: its full name.
    """

    def __init__(self, reactor: Any, store: IMailStore, user: str, name: str) -> None:
        self.user = user
        self.name = name
        self.cursor = Cursor()
        """Where `wait` goes on if it is not told otherwise."""
        self._put_in = Cursor()
        """Takes what the test puts in."""
        self._reactor = reactor
        self._store = store

    @asynccontextmanager
    async def account(self) -> AsyncIterator[IMailAccount]:
        """The account, open."""
        account: IMailAccount = await settled(self._store.account(self.user))
        try:
            yield account
        finally:
            account.release()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[IMailpostMailbox | None]:
        """The folder, open and up to date; None where there is none of this name."""
        async with self.account() as account:
            try:
                box: IMailpostMailbox = await settled(account.open(self.name))
            except MailError as error:
                if error.kind not in (ErrorKind.NO_SUCH_FOLDER, ErrorKind.NOT_SELECTABLE):
                    raise
                yield None
                return
            try:
                await settled(box.refresh())
                yield box
            finally:
                box.release()

    async def wait(self, wanted: Criteria, timeout: float, cursor: Cursor) -> Mail | None:
        """The first new mail that matches, which is old from then on; None if none came in time."""
        until = self._reactor.seconds() + timeout
        while True:
            left = until - self._reactor.seconds()
            waker = Waker(self._reactor)
            async with self.opened() as box:
                watch = box.live.attach(waker) if box is not None else None
                try:
                    if box is not None and (found := await self._new(box, wanted.key, cursor)):
                        cursor.taken.add(found[0])
                        return (await self._mails(box, found[:1]))[0]
                    if left <= 0:
                        return None
                    await waker.woken(left if box is not None else min(POLL, left))
                finally:
                    if watch is not None:
                        watch.close()

    def why_old(self, uid: int, cursor: Cursor) -> str:
        """Why a mail is not new; "" if it is."""
        return cursor.why_old(uid) or ("put in by the test" if uid in self._put_in.taken else "")

    async def place(self) -> Cursor:
        """A cursor behind all that is here now."""
        async with self.opened() as box:
            return Cursor() if box is None else Cursor(box.live.mailbox_id, box.live.uidnext)

    async def mails(self, wanted: Criteria) -> list[Mail]:
        """All mail here that matches, oldest first; none where there is no such folder."""
        async with self.opened() as box:
            return [] if box is None else await self._mails(box, await settled(box.search(wanted.key)))

    async def latest(self, most: int) -> tuple[list[Mail], int]:
        """The latest mails here, so many at most, and how many there are."""
        async with self.opened() as box:
            return ([], 0) if box is None else (await self._mails(box, box.live.uids[-most:]), len(box.live.uids))

    async def matching(self, key: SearchKey) -> frozenset[int]:
        """UIDs of all that match one key."""
        async with self.opened() as box:
            return frozenset() if box is None else frozenset(await settled(box.search(key)))

    async def put(self, messages: Sequence[NewMessage]) -> None:
        """Append messages, into a new folder if need be; they are old from then on."""
        async with self.account() as account:
            if not any(each.name == self.name and each.selectable for each in account.folders()):
                await settled(account.create(self.name))
                await settled(account.subscribe(self.name, True))
            async with self.opened() as box:
                assert box is not None, "it was made just now"
                self._put_in.enter(box)
            for at in range(0, len(messages), AT_ONCE):
                added = await settled(account.append(self.name, messages[at : at + AT_ONCE]))
                self._put_in.taken.update(added.uids)
                await self._turn()

    async def flag(self, uids: Sequence[int], change: FlagChange, flags: Sequence[str]) -> Flags:
        """Change flags; what the first of these messages has then."""
        async with self.opened() as box:
            live = None if box is None else box.live
            if box is None or live is None or live.position(uids[0]) < 0:
                raise MailError(ErrorKind.EXPUNGED, f"There is no mail {uids[0]} in {self.name} of {self.user}")
            await settled(box.store(uids, change, intern_flags(map(canonical, flags))))
            at = live.position(uids[0])
            return live.flags[at] if at >= 0 else frozenset()

    async def remove(self, wanted: Criteria) -> int:
        """Expunge all that matches: how many that were."""
        async with self.opened() as box:
            if box is None:
                return 0
            uids = await settled(box.search(wanted.key))
            await settled(box.store(uids, FlagChange.ADD, intern_flags({"\\Deleted"})))
            return len(await settled(box.expunge(uids)))

    async def _new(self, box: IMailpostMailbox, key: SearchKey, cursor: Cursor) -> list[int]:
        cursor.enter(box)
        self._put_in.enter(box)
        new = [uid for uid in box.live.uids if not self.why_old(uid, cursor)]
        found: list[int] = await settled(box.search(And((Uids(UidSet.of(new)), key)))) if new else []
        return found

    async def _mails(self, box: IMailpostMailbox, uids: Sequence[int]) -> list[Mail]:
        live, found = box.live, []
        async for batch in box.fetch(uids, (Attribute.OCTETS, Attribute.INTERNALDATE)):
            for uid, octets, arrived in batch:
                at = live.position(uid)
                flags = live.flags[at] if at >= 0 else frozenset()
                found.append(read_mail(octets, uid=uid, flags=flags, user=self.user, folder=self.name, arrived=arrived))
        return found

    async def _turn(self) -> None:
        turn: Deferred[None] = Deferred()
        self._reactor.callLater(0, turn.callback, None)
        await turn
