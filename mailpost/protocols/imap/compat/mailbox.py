"""A mailbox made for Twisted's IMAP server, as our commands see one.

Such a mailbox tells its listeners of new messages and changed flags, never of expunges, and other programs may change
it without a word: so it is read again and compared when its listener was told something, when its count is another,
and when it was last read a while ago.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.mail.imap4 import MessageSet
from twisted.mail.interfaces import ICloseableMailboxIMAP, IMailboxIMAPListener, IMessageIMAPCopier
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, FlagChange, Flags
from mailpost.mail.headers import end_of, select
from mailpost.mail.searching import matches
from mailpost.mail.searchkeys import SearchKey
from mailpost.protocols.imap.compat.message import MessageFile, StockFacts, flags_of, internaldate_of, octets_of
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.live import LiveMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, Copied, Fetched, HeaderFields, Stored
from mailpost.wire.imap.structures import summarise

log = Logger()

READ_AGAIN = 1.0
"""Seconds after which a mailbox is read again though nothing was said of it."""
BATCH = 50
"""Messages fetched at once."""

_MODES = {FlagChange.REPLACE: 0, FlagChange.ADD: 1, FlagChange.REMOVE: -1}
"""What Twisted's `IMailboxIMAP.store` calls them."""


@implementer(IMailpostMailbox, IMailboxIMAPListener)
class StockMailbox:
    """One session's adapter for one open mailbox."""

    keywords_allowed = True

    def __init__(self, stock: Any, name: str = "", target: Any = None) -> None:
        """Adapt a mailbox; `load` must follow.

        Args:
            stock: an `IMailboxIMAP`.
            name: of its folder.
            target: an async function that finds the `IMailboxIMAP` of a name, to copy to.
        """
        self.stock = stock
        self.name = name
        self.read_only = False
        self._target = target
        self._stale = False
        self._read_at = 0.0
        self._count = 0
        self.live = LiveMailbox(
            uidvalidity=1,
            uidnext=1,
            highest_modseq=0,
            mailbox_id="",
            uids=[],
            flags=[],
            modseqs=[],
            first_recent=1,
        )

    async def load(self) -> None:
        """Read it for the first time, and listen to it from then on."""
        self.read_only = not await settled(self.stock.isWriteable())
        self.live.uidvalidity = await settled(self.stock.getUIDValidity())
        await self._read()
        if self.live.gone:
            raise MailError(ErrorKind.UNAVAILABLE, "The UIDs of this mailbox do not ascend")
        recent = await settled(self.stock.getRecentCount())
        self.live.first_recent = self.live.uids[-recent:][0] if recent and self.live.uids else self.live.uidnext
        self.stock.addListener(self)

    def release(self) -> None:
        """No longer listen, and close it where it can be closed."""
        self.stock.removeListener(self)
        closeable = ICloseableMailboxIMAP(self.stock, None)
        if closeable is not None:
            maybeDeferred(closeable.close).addErrback(lambda failure: log.failure("Closing a mailbox", failure))

    # -- Twisted's listener

    def newMessages(self, exists: int | None, recent: int | None) -> None:
        """There are new messages."""
        self._look()

    def flagsChanged(self, newFlags: dict[int, Sequence[str]]) -> None:  # noqa: N803
        """Flags of messages are others now."""
        self._look()

    def modeChanged(self, writeable: bool) -> None:
        """It can be written to, or no longer."""
        self.read_only = not writeable

    def _look(self) -> None:
        self._stale = True
        self.live.wake()

    # -- reading

    async def refresh(self) -> None:
        """Read it again if that may tell something new."""
        if (
            self._stale
            or time.monotonic() - self._read_at >= READ_AGAIN
            or await settled(self.stock.getMessageCount()) != self._count
        ):
            await self._read()

    async def _read(self, origin: object | None = None) -> None:
        """Compare what is there with what was there."""
        self._stale = False
        live = self.live
        self._count = count = await settled(self.stock.getMessageCount())
        found = dict(await self._fetched(MessageSet(1, count), uid=False)) if count else {}
        flags = {uid: flags_of(message.getFlags()) for uid, message in found.items()}
        last = live.uids[-1] if live.uids else live.uidnext - 1
        known = set(live.uids)
        new = [uid for uid in flags if uid not in known]
        if new != sorted(new) or (new and new[0] <= last):
            log.error("UIDs of {mailbox} do not ascend", mailbox=self.stock)
            live.vanish()
            return
        live.expunged([uid for uid in live.uids if uid not in flags], 0, origin)
        changed = [uid for uid, old in zip(live.uids, live.flags, strict=True) if flags[uid] != old]
        live.flagged(changed, [flags[uid] for uid in changed], 0, origin)
        live.arrived(new, [flags[uid] for uid in new], 0, origin)
        live.uidnext = max(live.uidnext, await settled(self.stock.getUIDNext()) or 0)
        self._read_at = time.monotonic()

    async def _fetched(self, messages: MessageSet, uid: bool) -> list[tuple[int, Any]]:
        """Messages with their UIDs, in the order of the mailbox."""
        found = await settled(self.stock.fetch(messages, uid=uid))
        return [(message.getUID(), message) for _, message in found or ()]

    async def _messages(self, uids: Sequence[int]) -> AsyncIterator[list[tuple[int, Any]]]:
        for at in range(0, len(uids), BATCH):
            yield await self._fetched(_set_of(uids[at : at + BATCH]), uid=True)

    async def fetch(self, uids: Sequence[int], attributes: Sequence[Fetched]) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in batches."""
        async for messages in self._messages(uids):
            for uid, message in messages:
                octets = octets_of(message)
                yield [(uid, *(_value(message, octets, attribute) for attribute in attributes))]

    async def search(self, key: SearchKey) -> list[int]:
        """The UIDs that match."""
        found: list[int] = []
        flags = dict(zip(self.live.uids, self.live.flags, strict=True))
        async for messages in self._messages(list(self.live.uids)):
            found += [uid for uid, message in messages if matches(key, StockFacts(uid, flags[uid], message))]
        return found

    # -- changing

    async def store(
        self,
        uids: Sequence[int],
        change: FlagChange,
        flags: Flags,
        unchanged_since: int | None = None,
        origin: object | None = None,
    ) -> Stored:
        """Change flags."""
        self._check()
        if unchanged_since is not None:
            raise MailError(ErrorKind.CANNOT, "This mailbox has no mod-sequences")
        before = {uid: self.live.flags[at] for uid in uids if (at := self.live.position(uid)) >= 0}
        if not before:
            return Stored(())
        await settled(self.stock.store(_set_of(before), sorted(flags), _MODES[change], uid=True))
        found = await self._fetched(_set_of(before), uid=True)
        after = {uid: flags_of(message.getFlags()) for uid, message in found}
        changed = [uid for uid in before if uid in after and after[uid] != before[uid]]
        self.live.flagged(changed, [after[uid] for uid in changed], 0, origin)
        return Stored(changed)

    async def expunge(self, uids: Sequence[int] | None = None, origin: object | None = None) -> list[int]:
        """Remove what is deleted: all of it, since Twisted's interface knows no other way."""
        self._check()
        await self._read()
        deleted = [uid for uid, flags in zip(self.live.uids, self.live.flags, strict=True) if DELETED in flags]
        if uids is not None and not set(deleted) <= set(uids):
            raise MailError(ErrorKind.CANNOT, "This mailbox can only remove all deleted messages at once")
        before = list(self.live.uids)
        await settled(self.stock.expunge())
        await self._read(origin)
        return sorted(set(before).difference(self.live.uids))

    def vanished(self, since: int) -> None:
        """Changes are not numbered, so nothing is remembered."""

    async def copy(self, uids: Sequence[int], target: str, move: bool = False, origin: object | None = None) -> Copied:
        """Copy, one after the other; nobody knows the copies' UIDs."""
        if move:
            raise MailError(ErrorKind.CANNOT, "This mailbox cannot move messages")
        there = await self._target(target)
        copier: Any = IMessageIMAPCopier(there, None)
        async for messages in self._messages(uids):
            for _, message in messages:
                if copier is not None:
                    await settled(copier.copy(message))
                else:
                    file = MessageFile.of(octets_of(message)).opened()
                    await settled(there.addMessage(file, list(message.getFlags()), message.getInternalDate()))
        return Copied(0)

    def _check(self) -> None:
        if self.read_only:
            raise MailError(ErrorKind.READ_ONLY, "This mailbox cannot be changed")


def _set_of(uids: Iterable[int]) -> MessageSet:
    """A new set each time, since a mailbox may say in it what `*` means, and may do so once."""
    made = MessageSet()
    for uid in uids:
        made.add(uid)
    return made


def _value(message: Any, octets: bytes, attribute: Fetched) -> Any:
    if isinstance(attribute, HeaderFields):
        return select(octets[: end_of(octets)], frozenset(attribute.names))
    return _VALUES[attribute](message, octets)


_VALUES: dict[Attribute, Callable[[Any, bytes], Any]] = {
    Attribute.OCTETS: lambda _, octets: octets,
    Attribute.SIZE: lambda _, octets: len(octets),
    Attribute.INTERNALDATE: lambda message, _: internaldate_of(message),
    Attribute.ENVELOPE: lambda _, octets: summarise(octets).envelope,
    Attribute.BODYSTRUCTURE: lambda _, octets: summarise(octets).bodystructure,
    Attribute.EMAILID: lambda _, octets: summarise(octets).email_id,
    Attribute.THREADID: lambda _, octets: summarise(octets).thread_id,
    Attribute.PREVIEW: lambda _, octets: summarise(octets).preview,
    Attribute.PREVIEW_AT_HAND: lambda *_: b"NIL",
    Attribute.SAVEDATE: lambda *_: None,
}
