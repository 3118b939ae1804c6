"""One folder of the memory store, and the messages in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, RECENT, FlagChange, Flags, apply_change, intern_flags
from mailpost.mail.headers import end_of, select
from mailpost.mail.searching import header_texts, matches
from mailpost.mail.searchkeys import SearchKey
from mailpost.mail.summary import Summariser, Summary
from mailpost.mail.uidset import UidSet
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.live import LiveMailbox
from mailpost.storage.records import Attribute, Copied, Fetched, Folder, HeaderFields, Status, Stored

_BATCH_OCTETS = 256 * 1024
_BATCH_ROWS = 500


@dataclass(frozen=True)
class Message:
    """A message; its flags are in the live mailbox once it is in a folder."""

    octets: bytes
    flags: Flags
    internaldate: int
    saved: int
    """Seconds since the epoch: when it came into its folder."""

    @property
    def header(self) -> bytes:
        """The header with the empty line behind it."""
        return self.octets[: end_of(self.octets)]


def no_such(name: str) -> MailError:
    """The error for a folder that is not there."""
    return MailError(ErrorKind.NO_SUCH_FOLDER, f"There is no folder {name}")


@implementer(IMailpostMailbox)
class MemoryMailbox:
    """One folder, open or not: the same object for all who open it."""

    read_only = False
    keywords_allowed = True

    def __init__(
        self,
        folder: Folder,
        uidvalidity: int,
        *,
        summariser: Summariser,
        target: Callable[[str], MemoryMailbox],
        require_room: Callable[[Sequence[int]], None],
        clock: Callable[[], float],
    ) -> None:
        """An empty folder.

        Args:
            folder: as LIST shows it.
            uidvalidity: its UIDVALIDITY.
            summariser: see `mail.summary`.
            target: finds the folder to copy to by its name, or raises NO_SUCH_FOLDER.
            require_room: raises OVER_QUOTA unless messages of these sizes may come in.
            clock: seconds since the epoch.
        """
        self.folder = folder
        self.live = LiveMailbox(
            uidvalidity=uidvalidity,
            uidnext=1,
            highest_modseq=1,
            mailbox_id=folder.mailbox_id,
            uids=[],
            flags=[],
            modseqs=[],
            first_recent=1,
        )
        self._summariser = summariser
        self._target = target
        self._require_room = require_room
        self._clock = clock
        self._messages: dict[int, Message] = {}
        self._vanished: list[tuple[int, UidSet]] = []
        """(mod-sequence, UIDs) of each expunge."""
        self._summaries: dict[int, Summary] = {}

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    def refresh(self) -> None:
        """Nobody else can change anything."""

    def release(self) -> None:
        """The folder stays."""

    def vanish(self) -> None:
        """The folder has been deleted."""
        self._messages.clear()
        self.live.vanish()

    def status(self) -> Status:
        """Counts."""
        live = self.live
        deleted = (uid for uid, flags in zip(live.uids, live.flags, strict=True) if DELETED in flags)
        return live.status(sum(self.sizes()), sum(len(self._messages[uid].octets) for uid in deleted))

    def sizes(self) -> list[int]:
        """Octets of each message."""
        return [len(message.octets) for message in self._messages.values()]

    def size(self, uid: int) -> int:
        """Octets of a message. Raises EXPUNGED."""
        if uid not in self._messages:
            raise MailError(ErrorKind.EXPUNGED, "The message that was to be replaced no longer exists")
        return len(self._messages[uid].octets)

    def add(self, messages: Sequence[Message], origin: object | None) -> list[int]:
        """Let messages in: their UIDs."""
        uids = list(range(self.live.uidnext, self.live.uidnext + len(messages)))
        self._messages.update(zip(uids, messages, strict=True))
        self.live.arrived(uids, [message.flags for message in messages], self._next_modseq(), origin)
        return uids

    async def fetch(self, uids: Sequence[int], attributes: Sequence[Fetched]) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in batches."""
        batch: list[tuple[Any, ...]] = []
        octets = 0
        for uid in uids:
            if uid in self._messages:
                batch.append((uid, *(self._value(uid, attribute) for attribute in attributes)))
                octets += len(self._messages[uid].octets) if Attribute.OCTETS in attributes else 0
            if octets >= _BATCH_OCTETS or len(batch) >= _BATCH_ROWS:
                yield batch
                batch, octets = [], 0
        if batch:
            yield batch

    def search(self, key: SearchKey) -> list[int]:
        """The UIDs that match."""
        self._check()
        columns = zip(list(self.live.uids), list(self.live.flags), list(self.live.modseqs), strict=True)
        return [
            uid for uid, flags, modseq in columns if matches(key, _Facts(uid, flags, modseq, self, self._messages[uid]))
        ]

    def store(
        self,
        uids: Sequence[int],
        change: FlagChange,
        flags: Flags,
        unchanged_since: int | None = None,
        origin: object | None = None,
    ) -> Stored:
        """Change flags."""
        self._check()
        named = intern_flags(flags - {RECENT})
        changed: dict[int, Flags] = {}
        refused: list[int] = []
        for at in self.live.positions(uids):
            uid, old = self.live.uids[at], self.live.flags[at]
            if unchanged_since is not None and self.live.modseqs[at] > unchanged_since:
                refused.append(uid)
            elif (new := apply_change(old, change, named)) != old:
                changed[uid] = new
        self.live.flagged(list(changed), list(changed.values()), self._next_modseq(), origin)
        return Stored(list(changed), refused)

    def expunge(self, uids: Sequence[int] | None = None, origin: object | None = None) -> list[int]:
        """Remove what is deleted."""
        self._check()
        named = range(len(self.live.uids)) if uids is None else self.live.positions(uids)
        gone = [self.live.uids[at] for at in named if DELETED in self.live.flags[at]]
        self.take_out(gone, origin)
        return gone

    def remove(self, uids: Sequence[int]) -> list[int]:
        """Remove messages, whether they have \\Deleted or not."""
        self._check()
        gone = [self.live.uids[at] for at in self.live.positions(uids)]
        self.take_out(gone, None)
        return gone

    def copy(self, uids: Sequence[int], target: str, move: bool = False, origin: object | None = None) -> Copied:
        """Copy or move to another folder, or to this one."""
        self._check()
        box = self._target(target)
        places = self.live.positions(uids)
        sources = [self.live.uids[at] for at in places]
        if not move:
            self._require_room([len(self._messages[uid].octets) for uid in sources])
        saved = int(self._clock())
        copies = [replace(self._messages[self.live.uids[at]], flags=self.live.flags[at], saved=saved) for at in places]
        targets = box.add(copies, origin)
        if move:
            self.take_out(sources, origin)
        return Copied(box.live.uidvalidity, sources, targets)

    def take_out(self, uids: Sequence[int], origin: object | None) -> None:
        """Remove messages that are here."""
        for uid in uids:
            del self._messages[uid]
            self._summaries.pop(uid, None)
        if uids:
            self._vanished.append((self._next_modseq(), UidSet.of(uids)))
        self.live.expunged(uids, self._next_modseq(), origin)

    def vanished(self, since: int) -> UidSet:
        """All that was expunged above this mod-sequence."""
        gone = [uids.ranges for modseq, uids in self._vanished if modseq > since]
        return UidSet.of_ranges(span for spans in gone for span in spans)

    def _check(self) -> None:
        if self.live.gone:
            raise no_such(self.name)

    def _next_modseq(self) -> int:
        return self.live.highest_modseq + 1

    def summary(self, uid: int) -> Summary:
        """The summary of a message that is here, made when first asked for."""
        found = self._summaries.get(uid)
        if found is None:
            found = self._summaries[uid] = self._summariser(self._messages[uid].octets)
        return found

    def _value(self, uid: int, attribute: Fetched) -> int | bytes:
        message = self._messages[uid]
        match attribute:
            case HeaderFields(names):
                return select(message.header, frozenset(names))
            case Attribute.OCTETS:
                return message.octets
            case Attribute.SIZE:
                return len(message.octets)
            case Attribute.INTERNALDATE:
                return message.internaldate
            case Attribute.SAVEDATE:
                return message.saved
            case Attribute.EMAILID:
                return self.summary(uid).email_id
            case Attribute.THREADID:
                return self.summary(uid).thread_id
            case Attribute.PREVIEW:
                return self.summary(uid).preview
            case Attribute.PREVIEW_AT_HAND:
                known = self._summaries.get(uid)
                return known.preview if known else b"NIL"
            case Attribute.ENVELOPE:
                return self.summary(uid).envelope
            case Attribute.BODYSTRUCTURE:
                return self.summary(uid).bodystructure


@dataclass(frozen=True, slots=True)
class _Facts:
    """A message, as a search sees it."""

    uid: int
    flags: Flags
    modseq: int
    _box: MemoryMailbox
    _message: Message

    @property
    def size(self) -> int:
        return len(self._message.octets)

    @property
    def savedate(self) -> int:
        return self._message.saved

    @property
    def email_id(self) -> bytes:
        return self._box.summary(self.uid).email_id

    @property
    def thread_id(self) -> bytes:
        return self._box.summary(self.uid).thread_id

    @property
    def internaldate(self) -> int:
        return self._message.internaldate

    @property
    def sent_day(self) -> int | None:
        return self._box.summary(self.uid).sent_day

    def header_texts(self, name: str) -> list[str]:
        return header_texts(self._message.header, name)

    def octets(self) -> bytes:
        return self._message.octets
