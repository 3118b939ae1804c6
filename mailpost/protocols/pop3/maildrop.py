"""What a POP3 session sees of INBOX: the messages that were there at login, numbered once and for all.

What arrives later is not seen. What somebody else expunges keeps its number, and is told of when it is asked for.
Marks for deletion are this session's own until `update` carries them out.

RFC: 1939 §4 to §7
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from twisted.logger import Logger

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import SEEN, FlagChange, intern_flags
from mailpost.storage.interfaces import IMaildrop, IMaildropAccount, IMailpostMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute
from mailpost.wire.pop3.responses import default_uidl, is_uidl

log = Logger()

AHEAD_OCTETS, AHEAD_MESSAGES = 256 << 10, 64
"""So much is read at once for a client that takes messages in order."""

_SEEN = intern_flags({SEEN})


class Maildrop:
    """The snapshot, and the lock on the mailbox that goes with it. Numbers count from 1.

    Where a number is asked for, EXPUNGED is raised if there is no such message, or it is marked as deleted.
    """

    def __init__(self, held: IMaildrop, uids: Sequence[int], sizes: Sequence[int]) -> None:
        self._held = held
        self._mailbox: IMailpostMailbox = held.mailbox
        self._uids = uids
        self._sizes = sizes
        self._uidls: list[bytes] | None = None
        self._deleted: set[int] = set()
        self._retrieved: set[int] = set()
        self._ahead: dict[int, bytes] = {}
        self._next = 0
        self.size = sum(sizes)
        """Octets of all messages that are not marked."""

    @classmethod
    async def open(cls, account: object) -> Maildrop:
        """Lock a user's INBOX and note what is in it.

        Raises:
            MailError: IN_USE; UNAVAILABLE for an account of a store that knows no POP3.
        """
        able = IMaildropAccount(account, None)
        if able is None:
            raise MailError(ErrorKind.UNAVAILABLE, "There is no POP3 for this account")
        held: IMaildrop = await settled(able.maildrop())
        try:
            uids, sizes = await _sizes(held.mailbox)
        except BaseException:  # cancelled too: raised again, with the lock given back
            held.release()
            raise
        return cls(held, uids, sizes)

    def __len__(self) -> int:
        """How many messages are not marked."""
        return len(self._uids) - len(self._deleted)

    def size_of(self, number: int) -> int:
        """The octets of a message as they are sent, before dots are stuffed."""
        return self._sizes[self._at(number)]

    def uidl(self, number: int) -> bytes:
        """The unique name of a message."""
        return self._all_uidls()[self._at(number)]

    def sizes(self) -> Iterator[tuple[int, int]]:
        """(number, size) of all messages that are not marked."""
        return ((at + 1, size) for at, size in enumerate(self._sizes) if at not in self._deleted)

    def uidls(self) -> Iterator[tuple[int, bytes]]:
        """(number, UIDL) of all messages that are not marked."""
        return ((at + 1, uidl) for at, uidl in enumerate(self._all_uidls()) if at not in self._deleted)

    async def octets(self, number: int, whole: bool = True) -> bytes:
        r"""A message. With `whole` it gets \Seen at the end of the session, as from other POP3 servers."""
        self._check()
        at = self._at(number)
        octets = self._ahead.pop(at, None)
        if octets is None or self._mailbox.live.position(self._uids[at]) < 0:
            octets = await self._read(at)
        if octets is None:
            raise MailError(ErrorKind.EXPUNGED, f"Message {number} has been expunged by another session")
        if whole:
            self._retrieved.add(at)
        self._next = at + 1
        return octets

    async def _read(self, at: int) -> bytes | None:
        """A message out of the store; with it those that follow, for a client that takes them in order."""
        self._ahead.clear()
        wanted = [at]
        if at == self._next:
            room = AHEAD_OCTETS - self._sizes[at]
            for following in range(at + 1, min(at + AHEAD_MESSAGES, len(self._uids))):
                room -= self._sizes[following]
                if room < 0:
                    break
                wanted.append(following)
        try:
            self._ahead = await self._fetched(wanted)
        except MailError:
            if len(wanted) == 1:
                raise
            self._ahead = await self._fetched([at])  # the trouble may be with another one
        return self._ahead.pop(at, None)

    async def _fetched(self, wanted: Sequence[int]) -> dict[int, bytes]:
        places = {self._uids[at]: at for at in wanted}
        batches = self._mailbox.fetch(list(places), (Attribute.OCTETS,))
        return {places[uid]: octets async for batch in batches for uid, octets in batch}

    def delete(self, number: int) -> None:
        """Mark a message."""
        at = self._at(number)
        self._deleted.add(at)
        self.size -= self._sizes[at]

    def reset(self) -> None:
        """Take all marks off."""
        self._deleted.clear()
        self.size = sum(self._sizes)

    async def update(self) -> int:
        """Remove what is marked, all or, when it raises, none: how many were still there to be removed."""
        if not self._deleted:
            return 0
        self._check()
        return len(await settled(self._held.remove([self._uids[at] for at in sorted(self._deleted)])))

    async def note_seen(self) -> None:
        r"""Give \Seen to what was retrieved."""
        uids = [self._uids[at] for at in sorted(self._retrieved)]
        self._retrieved.clear()
        if uids and not self._mailbox.live.gone:
            await settled(self._mailbox.store(uids, FlagChange.ADD, _SEEN))

    def release(self) -> None:
        """Let others have the mailbox; once."""
        self._held.release()

    def _at(self, number: int) -> int:
        if not 1 <= number <= len(self._uids):
            raise MailError(ErrorKind.EXPUNGED, f"There is no message {number}")
        if number - 1 in self._deleted:
            raise MailError(ErrorKind.EXPUNGED, f"Message {number} is deleted")
        return number - 1

    def _check(self) -> None:
        if self._mailbox.live.gone:
            raise MailError(ErrorKind.UNAVAILABLE, "The mailbox is not what it was at login")

    def _all_uidls(self) -> list[bytes]:
        if self._uidls is None:
            self._uidls = unique_uidls(self._uids, self._mailbox.live.uidvalidity, self._held.uidls)
        return self._uidls


async def _sizes(mailbox: IMailpostMailbox) -> tuple[list[int], list[int]]:
    """UIDs and sizes of all messages, from the index. One that cannot be read has no number in this session."""
    uids: list[int] = []
    sizes: list[int] = []
    try:
        async for batch in mailbox.fetch(list(mailbox.live.uids), (Attribute.SIZE,)):
            for uid, size in batch:
                uids.append(uid)
                sizes.append(size)
    except MailError as error:
        if mailbox.live.gone:
            raise
        log.warn("Messages that POP3 does not show, since they cannot be read: {reason}", reason=error.text)
    return uids, sizes


def unique_uidls(uids: Sequence[int], uidvalidity: int, settled_before: Mapping[int, str]) -> list[bytes]:
    """The UIDL of each message: what another server has settled, if it is a UIDL and no other message's; or our own.

    RFC: 1939 §7 (unique, and the same in every session)
    """
    own = [default_uidl(uid, uidvalidity) for uid in uids]
    if not settled_before:
        return own
    used = set(own)
    for at, uid in enumerate(uids):
        theirs = settled_before.get(uid, "")
        if is_uidl(theirs) and (octets := theirs.encode("ascii")) not in used:
            used.add(octets)
            own[at] = octets
    return own
