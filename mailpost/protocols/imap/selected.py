"""A session's view of the mailbox it has selected: numbers, what it has been told, and what it has yet to be told.

The messages themselves are in `LiveMailbox`, shared by all sessions. A session keeps a place in the journal, the
sequence arithmetic over what its client knows (`mail.selected.SequenceView`), which messages are recent in it, and the
UIDs whose flags have changed without its doing. Reading the journal never writes: what is found waits for
`report_changes`, which the session calls at the moments when the RFC permits it.

A mailbox that is deleted, or comes back with another UIDVALIDITY, under a session sets `gone`; the session then
says BYE, as Dovecot does, since no answer to any further command could be right.

RFC: 3501 §5.2, §7.4.1, 2180 §3, 7162 §3.1
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

from mailpost.mail.flags import NO_FLAGS, RECENT, SYSTEM_FLAGS, Flags, intern_flags
from mailpost.mail.mime import Part, parse
from mailpost.mail.searchkeys import Recent, SavedResult, SearchKey, Uids, UidSequence, with_leaves
from mailpost.mail.searchkeys import Sequence as SequenceKey
from mailpost.mail.selected import SequenceView
from mailpost.mail.uidset import SequenceSet, UidSet
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.live import ChangeKind, LiveMailbox
from mailpost.storage.offload import settled
from mailpost.wire.imap.grammar import ParseError
from mailpost.wire.imap.responses import vanished_line
from mailpost.wire.imap.writer import flag_list


def uid_required() -> ParseError:
    """The refusal of sequence numbers after ENABLE UIDONLY. RFC: 9586 §3.1"""
    return ParseError("Sequence numbers are not in use: name messages by their UIDs", code=b"UIDREQUIRED")


class _FlagPieces(dict[Flags, bytes]):
    """Flag sets as they go on the wire, made once each."""

    def __missing__(self, flags: Flags) -> bytes:
        piece = self[flags] = flag_list(flags)
        return piece


class MessageInHand:
    """The octets of a message, and its tree of parts once that is asked for."""

    __slots__ = ("_tree", "octets")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._tree: Part | None = None

    @property
    def tree(self) -> Part:
        """The parts, parsed once."""
        if self._tree is None:
            self._tree = parse(self.octets)
        return self._tree


class SelectedMailbox:
    """One session's view of one open mailbox. It is the `origin` of the changes that its session makes."""

    def __init__(self, mailbox: IMailpostMailbox, *, read_only: bool, enabled: set[str] | None = None) -> None:
        """Everything that is in the mailbox now counts as announced: SELECT tells it in the same turn.

        Args:
            mailbox: opened for this session, which releases it through `release`.
            read_only: by EXAMINE, or since the mailbox is.
            enabled: the session's own set of extensions, which say how changes are reported.
        """
        self.mailbox = mailbox
        self.live: LiveMailbox = mailbox.live
        self.read_only = read_only
        self.view = SequenceView(self.live.uids)
        self.saved = UidSet()
        """What the last SEARCH with SAVE has found: `$`. RFC: 9051 §6.4.4.1"""
        self.held: tuple[int, MessageInHand] | None = None
        """UID and octets of the message that was last read in parts, so that the next part costs no file."""
        self.on_wake: Callable[[], None] | None = None
        """Called when something is in the journal, inside another's call: it must only schedule. For IDLE."""
        self.keeps_modseq = self.live.highest_modseq > 0
        """False for the adapter of a store that numbers no changes. RFC: 7162 §3.1.2.2"""
        self._enabled = enabled if enabled is not None else set()
        self._cursor = self.live.attach(self)
        self._changed: set[int] = set()
        self._met = set(self.live.keywords())
        self._pieces = _FlagPieces()
        first = self.live.first_recent if read_only else self.live.claim_recent()
        self.recent = UidSet(((first, self.live.uidnext - 1),)) if first < self.live.uidnext else UidSet()
        """UIDs, gone ones among them, that are recent in this session."""

    @property
    def gone(self) -> bool:
        """Whether the mailbox is no longer what was selected."""
        return self.live.gone

    @property
    def reports_modseq(self) -> bool:
        """Whether FETCH lines that nobody asked for carry MODSEQ. RFC: 7162 §3.1"""
        return self.keeps_modseq and "CONDSTORE" in self._enabled

    @property
    def reports_vanished(self) -> bool:
        """Whether messages that go are told by their UIDs. RFC: 7162 §3.2.10.2, 9586 §3.5"""
        return self.uid_only or (self.keeps_modseq and "QRESYNC" in self._enabled)

    @property
    def uid_only(self) -> bool:
        """Whether the client uses no sequence numbers. RFC: 9586 §3"""
        return "UIDONLY" in self._enabled

    @property
    def tells_uid(self) -> bool:
        """Whether FETCH lines with flags that nobody asked for carry the UID. RFC: 7162 §3.2.4, 9051 §7.5.2"""
        return self.reports_modseq or "IMAP4REV2" in self._enabled

    @property
    def tells_recent(self) -> bool:
        """Whether this client knows of \\Recent. RFC: 9051 appendix A"""
        return "IMAP4REV2" not in self._enabled

    async def refresh(self) -> None:
        """Let the store take note of what other programs did."""
        await settled(self.mailbox.refresh())

    def release(self) -> None:
        """Leave the mailbox; called once."""
        self.on_wake = None
        self._cursor.close()
        self.mailbox.release()

    # -- the journal

    def wake(self) -> None:
        """The live mailbox says that something is in the journal."""
        if self.on_wake is not None:
            self.on_wake()

    def catch_up(self) -> None:
        """Read the journal to its end, so that the view knows which messages are gone."""
        if not self._cursor.behind:
            return
        for change in self._cursor.read():
            if change.kind is ChangeKind.EXPUNGED:
                self.view.expunge(change.uids)
                self._changed.difference_update(change.uids)
            elif change.kind is ChangeKind.ARRIVED:
                self._claim(change.uids)
            elif change.origin is not self:
                self._changed.update(change.uids)

    def _claim(self, uids: Sequence[int]) -> None:
        """Messages are recent for the first read-write session that hears of them. RFC: 3501 §2.3.2"""
        first = self.live.first_recent
        if uids[-1] >= first:
            self.recent |= UidSet(((max(first, uids[0]), uids[-1]),))
            if not self.read_only:
                self.live.claim_recent()

    @property
    def recent_count(self) -> int:
        """How many messages are recent in this session."""
        uids = self.live.uids
        return sum(bisect_right(uids, high) - bisect_left(uids, low) for low, high in self.recent.ranges)

    def report_changes(self, expunges_allowed: bool) -> list[bytes]:
        """Untagged responses for all that the client does not know yet, in the order in which they must go.

        EXPUNGE lines first while they are allowed, since each renumbers what follows; then EXISTS and RECENT, then
        flags. Quick when nothing has changed.
        """
        self.catch_up()
        lines: list[bytes] = []
        if expunges_allowed:
            if self.reports_vanished:
                if vanished := self.view.take_vanished():
                    lines.append(vanished_line(vanished))
            elif expunged := self.view.take_expunges():
                lines.append(b"".join(map(b"* %d EXPUNGE\r\n".__mod__, expunged)))
        exists = self.view.take_exists()
        if exists is not None:
            lines.append(self.exists_line(exists))
        if self._changed:
            changed = sorted(self._changed)
            self._changed.clear()
            lines += self.flag_lines(changed, uid=True, modseq=self.reports_modseq)
        return lines

    def latest(self) -> bytes:
        """The code HIGHESTMODSEQ for the tagged answer to what removed messages; b"" for who is not to be told.

        RFC: 7162 §3.2.7
        """
        if self.keeps_modseq and "QRESYNC" in self._enabled:
            return b"HIGHESTMODSEQ %d" % self.live.highest_modseq
        return b""

    def highest_modseq_line(self) -> bytes:
        """The response HIGHESTMODSEQ. RFC: 7162 §3.1.2.1"""
        return b"* OK [HIGHESTMODSEQ %d] The latest change\r\n" % self.live.highest_modseq

    def exists_line(self, exists: int) -> bytes:
        """EXISTS, and RECENT for who knows of it. RFC: 3501 §7.3"""
        line = b"* %d EXISTS\r\n" % exists
        return line + b"* %d RECENT\r\n" % self.recent_count if self.tells_recent else line

    # -- numbers

    def named(self, numbers: SequenceSet, uid: bool) -> tuple[list[int], bool]:
        """UIDs of the messages that a command names, ascending, and whether it named some that are gone.

        Gone can only be messages named by sequence number that were expunged without the client's knowledge; a UID
        that does not exist is passed over without a word. Messages not announced yet cannot be named.

        Raises:
            ParseError: a sequence number beyond EXISTS. RFC: 3501 §9 (seq-number)
        """
        if not uid and self.uid_only:
            raise uid_required()
        self.catch_up()
        view = self.view
        if numbers.saved:
            return view.members(self.saved), False
        if uid:
            return view.members(numbers.resolve(view.last_uid)), False
        exists = view.exists
        if not exists or any(max(part) > exists for part in numbers.parts):
            raise ParseError("There is no message with this sequence number")
        wanted = numbers.resolve(exists)
        found = view.members(self._uids_of(wanted))
        return found, len(found) < len(wanted)

    def _uids_of(self, numbers: UidSet) -> UidSet:
        """Sequence numbers as UIDs: both ascend together, so ranges stay ranges."""
        uid = self.view.uid
        return UidSet.of_ranges((uid(low), uid(high)) for low, high in numbers.ranges)

    def present(self, uids: Sequence[int]) -> Sequence[int]:
        """Those of these ascending UIDs that the client knows and that are still here."""
        self.catch_up()
        last = self.view.last_uid
        if uids and uids[-1] > last:
            uids = uids[: bisect_right(uids, last)]
        places = self.live.positions(uids)
        return uids if len(places) == len(uids) else [self.live.uids[at] for at in places]

    def resolved(self, key: SearchKey) -> SearchKey:
        """A search key in which all that only this session knows has been replaced by UIDs."""
        self.catch_up()
        return with_leaves(key, self._resolved)

    def _resolved(self, leaf: SearchKey) -> SearchKey:
        match leaf:
            case SequenceKey() if self.uid_only:
                raise uid_required()
            case SequenceKey(numbers):
                exists = self.view.exists
                known = numbers.resolve(exists) & UidSet(((1, exists),) if exists else ())
                return Uids(self._uids_of(known))
            case UidSequence(uids):
                return Uids(self.saved if uids.saved else uids.resolve(self.view.last_uid))
            case SavedResult():
                return Uids(self.saved)
            case Recent():
                return Uids(self.recent)
            case _:
                return leaf

    # -- flags

    def flag_pieces(self, uids: Sequence[int], flags: Sequence[Flags]) -> list[bytes]:
        """The parenthesised flags of these messages, with \\Recent where they are."""
        if self.tells_recent and (recent := set(self.recent.members(uids))):
            flags = [
                intern_flags((*value, RECENT)) if uid in recent else value
                for uid, value in zip(uids, flags, strict=True)
            ]
        pieces = self._pieces
        return [pieces[value] for value in flags]

    def columns(self, uids: Sequence[int]) -> tuple[Sequence[Flags], Sequence[int]]:
        """The flags and mod-sequences of these messages (ascending, all of them here)."""
        places = self.live.positions(uids)
        if isinstance(places, range):
            return self.live.flags[places.start : places.stop], self.live.modseqs[places.start : places.stop]
        return [self.live.flags[at] for at in places], [self.live.modseqs[at] for at in places]

    def flag_lines(self, uids: Sequence[int], *, uid: bool, modseq: bool, flags: bool = True) -> list[bytes]:
        """FETCH lines with the present flags of these messages (ascending, announced, here), which then count as told.

        Keywords that the client has not met are announced first.
        """
        if not uids:
            return []
        values, modseqs = self.columns(uids)
        start, numbers = self.line_start(uids)
        columns: list[Sequence[int | bytes]] = [numbers]
        items, lines = [], []
        if (uid or self.tells_uid) and not self.uid_only:
            items.append(b"UID %d")
            columns.append(uids)
        if flags:
            lines += self.new_keywords(values)
            items.append(b"FLAGS %b")
            columns.append(self.flag_pieces(uids, values))
            self.told(uids)
        if modseq:
            items.append(b"MODSEQ (%d)")
            columns.append(modseqs)
        template = start + b" ".join(items) + b")\r\n"
        lines.append(b"".join(map(template.__mod__, zip(*columns, strict=True))))
        return lines

    def line_start(self, uids: Sequence[int]) -> tuple[bytes, Sequence[int]]:
        """How a line about a message begins, as a template, and the number of each in it. RFC: 9586 §3.3 (UIDFETCH)"""
        if self.uid_only:
            return b"* %d UIDFETCH (", uids
        return b"* %d FETCH (", self.view.seqs(uids)

    def told(self, uids: Iterable[int]) -> None:
        """The client has just been told the flags of these messages."""
        if self._changed:
            self._changed.difference_update(uids)

    def new_keywords(self, values: Iterable[Flags]) -> list[bytes]:
        """FLAGS and PERMANENTFLAGS once more, if there are keywords in these flags that the client has not met."""
        new = {flag for value in set(values) for flag in value - self._met if flag[0] != "\\"}
        if not new:
            return []
        self._met |= new
        return self.keyword_lines()

    def keyword_lines(self) -> list[bytes]:
        """FLAGS and PERMANENTFLAGS. RFC: 3501 §7.2.6, §7.1"""
        flags = (*SYSTEM_FLAGS, *sorted(self._met))
        refused: Flags = getattr(self.mailbox, "flags_refused", NO_FLAGS)
        kept = tuple(flag for flag in flags if flag not in refused)
        permanent = () if self.read_only else (*kept, "\\*") if self.mailbox.keywords_allowed else kept
        return [
            b"* FLAGS %b\r\n" % flag_list(flags),
            b"* OK [PERMANENTFLAGS %b] %b\r\n"
            % (flag_list(permanent), b"Read-only" if self.read_only else b"These are kept"),
        ]
