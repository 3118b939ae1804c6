"""A client that keeps a copy of a mailbox and knows nothing but what it is told, to be compared with what is there.

RFC: 7162 §3.2, 4549 §3 (a disconnected client's cache)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.faults.client import Client

_FETCH = re.compile(rb"\* (\d+) FETCH \((.*)\)\Z", re.DOTALL)
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_MODSEQ = re.compile(rb"\bMODSEQ \((\d+)\)")
_CODE = re.compile(rb"\[(UIDVALIDITY|HIGHESTMODSEQ) (\d+)\]")
_VANISHED = re.compile(rb"\* VANISHED (?:\(EARLIER\) )?([0-9:,]+)\Z")


def numbers(text: bytes) -> list[int]:
    """The members of a set such as 1:3,7."""
    spans = [each.partition(b":") for each in text.split(b",")]
    return [number for low, _, high in spans for number in range(int(low), int(high or low) + 1)]


def written(some: list[int]) -> str:
    """A set as a command names it."""
    return ",".join(map(str, some))


@dataclass
class Mirror:
    """What one client knows of one mailbox. Every response must make sense to it."""

    uidvalidity: int = 0
    modseq: int = 0
    uids: list[int] = field(default_factory=list)
    """By sequence number; 0 for a message that EXISTS has told of and FETCH has not."""
    flags: dict[int, frozenset[bytes]] = field(default_factory=dict)
    modseqs: dict[int, int] = field(default_factory=dict)

    def take(self, lines: list[bytes]) -> None:
        """Note what the lines of an answer tell, in their order."""
        for line in lines:
            self.take_line(line)

    def take_line(self, line: bytes) -> None:
        """Note what one line tells."""
        if found := _FETCH.match(line):
            self._fetched(int(found[1]), found[2])
        elif found := _VANISHED.match(line):
            for uid in numbers(found[1]):
                self._gone(uid, earlier=b"EARLIER" in line)
        elif line.endswith(b" EXPUNGE"):
            self._forget(self.uids.pop(int(line.split()[1]) - 1))
        elif line.endswith(b" EXISTS"):
            count = int(line.split()[1])
            assert count >= len(self.uids), "EXISTS takes nothing away"
            self.uids += [0] * (count - len(self.uids))
        elif found := _CODE.search(line):
            setattr(self, "uidvalidity" if found[1] == b"UIDVALIDITY" else "modseq", int(found[2]))

    def _fetched(self, number: int, items: bytes) -> None:
        assert 1 <= number <= len(self.uids), "a message that EXISTS has told of"
        if uid := _UID.search(items):
            assert self.uids[number - 1] in (0, int(uid[1])), "a number means what it meant"
            self.uids[number - 1] = int(uid[1])
        known = self.uids[number - 1]
        if flags := _FLAGS.search(items):
            self.flags[known] = frozenset(flags[1].split()) - {rb"\Recent"}
        if modseq := _MODSEQ.search(items):
            self.modseqs[known] = int(modseq[1])

    def _gone(self, uid: int, *, earlier: bool) -> None:
        if uid in self.uids:
            self.uids.remove(uid)
            self._forget(uid)
        elif not earlier:  # one of those that only EXISTS has told of, between those with a lower and a higher UID
            place = max((at for at, each in enumerate(self.uids) if 0 < each < uid), default=-1) + 1
            assert self.uids[place : place + 1] == [0], "the client has been told of what it is told is gone"
            del self.uids[place]

    def _forget(self, uid: int) -> None:
        self.flags.pop(uid, None)
        self.modseqs.pop(uid, None)

    @property
    def known(self) -> dict[int, tuple[frozenset[bytes], int]]:
        """UID -> flags and mod-sequence."""
        return {uid: (self.flags[uid], self.modseqs[uid]) for uid in self.uids}

    def samples(self) -> str:
        """Sequence numbers and UIDs at distances from the end that double. RFC: 7162 §3.2.5.2"""
        places = sorted({len(self.uids) >> shift for shift in range(12)} - {0})
        return f"({written(places)} {written([self.uids[place - 1] for place in places])})"

    def comes_back(self, lines: list[bytes]) -> None:
        """Note what a SELECT with QRESYNC tells who has been away: what went, then how many there are, then the rest.

        EXISTS comes first and counts the messages as they are now: what went makes room for what is new.
        """
        assert self.uidvalidity == next(int(code[2]) for line in lines if (code := _CODE.search(line))), "the same one"
        self.take([line for line in lines if _VANISHED.match(line)])
        self.take([line for line in lines if not _VANISHED.match(line)])


def fresh(port: int, mailbox: str = "INBOX", user: str = "ann") -> Mirror:
    """What somebody sees who knows nothing and asks for everything."""
    mirror = Mirror()
    with Client(port, user) as client:
        mirror.take(client.ok(f"EXAMINE {mailbox} (CONDSTORE)"))
        if mirror.uids:
            mirror.take(client.ok("UID FETCH 1:* (FLAGS MODSEQ)"))
    return mirror
