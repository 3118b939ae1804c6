"""What happens in mailboxes, told to a page while it happens, as server-sent events.

One stream belongs to one page, which shows one user. Three events come, each with JSON:

- `users`: `[{name, unseen}]`, all of them, when anything of it has changed; `unseen` is that of the INBOX, null where
  it is not watched;
- `folders`: `[{name, label, depth, selectable, use, messages, unseen}]` of the user shown, likewise;
- `changed`: `{folder, arrived}`: messages of this folder came (their UIDs), went, or have other flags.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.task import deferLater
from zope.interface import implementer

from mailpost.mail.errors import MailError
from mailpost.mail.foldertree import INBOX
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox, refreshed
from mailpost.storage.live import ChangeKind
from mailpost.storage.offload import settled
from mailpost.web.access import Visit

LOOK = 0.3
"""Seconds between looks at what no mailbox tells: new users and folders, and what other programs did."""
PAUSE = 0.05
"""Seconds that are let pass behind something that was told, so that many changes are told as one."""
SIGN_OF_LIFE = 15.0
"""Seconds after which something is sent, so that a connection that is gone is found."""
MOST_USERS = 200
"""Users whose INBOX is watched."""
MOST_FOLDERS = 50
"""Folders of the user shown that are watched."""
AT_ONCE = 25
"""Accounts that are opened before something is told."""
MOST_ARRIVED = 100

Key = tuple[str, str]
"""User and folder."""


class Bell:
    """Rings when something has happened, in a turn of its own, or when a time is over.

    Args:
        clock: the reactor.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._pulled = False
        self._waiting: Deferred[None] | None = None

    def pull(self) -> None:
        """Let it ring. Nothing is done in this call."""
        self._pulled = True
        if self._waiting is not None:
            self._clock.callLater(0, self._ring)

    async def rung(self, seconds: float) -> None:
        """Come back when it has been pulled since the last time, or after so many seconds."""
        if not self._pulled:
            self._waiting = Deferred()
            late: IDelayedCall = self._clock.callLater(seconds, self._ring)
            try:
                await self._waiting
            finally:
                self._waiting = None
                if late.active():
                    late.cancel()
        self._pulled = False

    def _ring(self) -> None:
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(None)


class Watched:
    """A folder that is open as long as a page wants to hear of it."""

    def __init__(self, box: IMailpostMailbox, bell: Bell) -> None:
        self.box = box
        self._bell = bell
        self._woken = False
        self._cursor = box.live.attach(self)

    def wake(self) -> None:
        """Something is in the journal, or to be found by a refresh."""
        self._woken = True
        self._bell.pull()

    def catch_up(self) -> None:
        """The journal becomes too long: that something has changed is all that counts."""
        self._cursor.read()
        self.wake()

    async def news(self) -> dict[str, Any] | None:
        """What has changed since the last time; None for nothing."""
        if not self._woken:
            return None
        self._woken = False
        await settled(self.box.refresh())
        arrived = [uid for each in self._cursor.read() if each.kind is ChangeKind.ARRIVED for uid in each.uids]
        return {"folder": self.box.name, "arrived": arrived[-MOST_ARRIVED:]}

    def close(self) -> None:
        """No longer interested."""
        self._cursor.close()
        self.box.release()


class Watch:
    """All that one page wants to hear of.

    Args:
        visit: whose mail it may see.
        user: whom it shows; "" for nobody.
        bell: pulled when there is news.
    """

    def __init__(self, visit: Visit, user: str, bell: Bell) -> None:
        self._visit = visit
        self._user = user
        self._bell = bell
        self._accounts: dict[str, IMailAccount] = {}
        self._refused: set[str] = set()
        """Users whose account or INBOX could not be opened; they are told without numbers."""
        self._open: dict[Key, Watched] = {}
        self._stack = AsyncExitStack()
        self._told: dict[str, Any] = {}

    async def news(self) -> list[tuple[str, Any]]:
        """What is to be told now: pairs of event and data."""
        users = self._visit.users()
        shown = self._user if self._user in users else ""
        changed, folders = [], []
        if shown and await self._watch(shown, [INBOX]):
            account = self._accounts[shown]
            await refreshed(account)
            named = [each for each in account.folders() if each.selectable][:MOST_FOLDERS]
            await self._watch(shown, [each.name for each in named])
        await self._watch_others(users[:MOST_USERS])
        for key, watched in list(self._open.items()):
            news = await watched.news()
            if watched.box.live.gone or watched.box.name != key[1]:
                self._open.pop(key).close()
                self._bell.pull()
            if news is not None and key[0] == shown:
                changed.append(("changed", news))
        if shown in self._accounts:
            folders = [self._folder(shown, each) for each in self._accounts[shown].folders()]
        told = self._unless_told("users", [{"name": each, "unseen": self._unseen(each)} for each in users])
        return [*told, *self._unless_told("folders", folders), *changed]

    async def close(self) -> None:
        """Give everything back."""
        for watched in self._open.values():
            watched.close()
        self._open.clear()
        await self._stack.aclose()

    async def _watch_others(self, users: list[str]) -> None:
        """Open the INBOX of all, some of them now: what is known is told before the rest comes."""
        fresh = [user for user in users if (user, INBOX) not in self._open and user not in self._refused]
        for user in fresh[:AT_ONCE]:
            await self._watch(user, [INBOX])
        if len(fresh) > AT_ONCE:
            self._bell.pull()

    async def _watch(self, user: str, folders: Iterable[str]) -> bool:
        """Open these folders, as far as it can be done; whether the account could be."""
        if user in self._refused:
            return False
        try:
            if user not in self._accounts:
                self._accounts[user] = await self._stack.enter_async_context(self._visit.account(user))
        except MailError:
            self._refused.add(user)
            return False
        for name in folders:
            if (user, name) not in self._open:
                try:
                    box: IMailpostMailbox = await settled(self._accounts[user].open(name))
                except MailError:  # gone, or not to be read: tried again with the next look
                    if name == INBOX:
                        self._refused.add(user)
                        return False
                    continue
                self._open[user, name] = Watched(box, self._bell)
        return True

    def _unseen(self, user: str) -> int | None:
        watched = self._open.get((user, INBOX))
        return watched.box.live.unseen if watched is not None else None

    def _folder(self, user: str, folder: Any) -> dict[str, Any]:
        separator = self._accounts[user].separator
        watched = self._open.get((user, folder.name))
        live = watched.box.live if watched is not None else None
        return {
            "name": folder.name,
            "depth": folder.name.count(separator),
            "label": folder.name.rpartition(separator)[2],
            "selectable": folder.selectable,
            "use": folder.special_use.value.lstrip("\\").lower() if folder.special_use else "",
            "messages": len(live.uids) if live is not None else None,
            "unseen": live.unseen if live is not None else None,
        }

    def _unless_told(self, event: str, data: Any) -> list[tuple[str, Any]]:
        if self._told.get(event) == data:
            return []
        self._told[event] = data
        return [(event, data)]


class Request(Protocol):
    """The connection on which events go out."""

    def write(self, data: bytes) -> object:
        """Send octets."""

    def registerProducer(self, producer: object, streaming: bool) -> object:  # noqa: N802 (Twisted's name)
        """Say who is to wait when the client does not read."""


@implementer(IPushProducer)
class Stream:
    """The events of one page, to its end."""

    def __init__(self, request: Request, visit: Visit, user: str, clock: Any) -> None:
        self._request = request
        self._clock = clock
        self._bell = Bell(clock)
        self._watch = Watch(visit, user, self._bell)
        self._paused = False

    async def run(self) -> None:
        """Tell what happens until this is cancelled, as it is when the connection ends."""
        self._request.registerProducer(self, True)
        last = self._clock.seconds()
        try:
            while True:
                events = [] if self._paused else await self._watch.news()
                for event, data in events:
                    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
                    self._request.write(f"event: {event}\ndata: {text}\n\n".encode("utf-8", "replace"))
                if not events and not self._paused and self._clock.seconds() - last > SIGN_OF_LIFE:
                    self._request.write(b":\n\n")
                    last = self._clock.seconds()
                if events:
                    last = self._clock.seconds()
                    await deferLater(self._clock, PAUSE)
                await self._bell.rung(LOOK)
        finally:
            await self._watch.close()

    def pauseProducing(self) -> None:
        """The client does not read."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It reads again."""
        self._paused = False
        self._bell.pull()

    def stopProducing(self) -> None:
        """It is gone: whoever runs this hears of that too."""
        self._paused = True
