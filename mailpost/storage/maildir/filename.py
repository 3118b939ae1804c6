"""Names of message files: `base:2,FLAGS`, the base made once and unique for ever, the flags free to change.

A base made here is `seconds.M<microseconds>P<pid>Q<count>R<random>.host,S=<octets stored>,W=<octets with CRLF>`;
any base is accepted. Letters are kept in ASCII order. Names are `str` as `os.fsdecode` gives them.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Sequence
from itertools import count

from mailpost.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, NO_FLAGS, SEEN, Flags, intern_flags

INFO = ":2,"
"""What stands between the base and the letters."""

FORWARDED = "$Forwarded"
MOST_KEYWORDS = 26
"""Keywords with a letter of their own; more live in the index alone."""

SYSTEM_LETTERS = {"D": DRAFT, "F": FLAGGED, "P": FORWARDED, "R": ANSWERED, "S": SEEN, "T": DELETED}
_MOST_CACHED = 4096
_SIZE = re.compile(r",([SW])=([0-9]{1,18})(?=,|$)")
_MAKER = re.compile(r"[0-9]+\.M[0-9]{6}P([0-9]+)Q[0-9]+(R[0-9a-f]{8}\.[^,:]+)")


def base_of(name: str) -> str:
    """What stays the same while flags change: the name up to its first colon, ",S=" and ",W=" included."""
    return name.partition(":")[0]


def letters_of(name: str) -> str:
    """The flag letters of a name; "" where it has no ":2,"."""
    return name.partition(INFO)[2]


def with_letters(name: str, letters: str) -> str:
    """The name of the same message with other letters (in ASCII order, each once)."""
    return base_of(name) + INFO + letters


def merge_letters(before: str, theirs: str, ours: str) -> str:
    """Both changes together, when another program and we changed the letters `before` at the same time."""
    old, new = set(before), set(ours)
    return "".join(sorted((set(theirs) | (new - old)) - (old - new)))


def sizes_of(base: str) -> tuple[int | None, int | None]:
    """(octets stored, octets with CRLF) as the base says them (`S=`, `W=`), None where it does not."""
    found = dict(_SIZE.findall(base_of(base)))
    stored, wire = found.get("S"), found.get("W")
    return (None if stored is None else int(stored), None if wire is None else int(wire))


def is_running(pid: int) -> bool:
    """Whether there is a process of this number on this host; of any user."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


class UniqueNames:
    """Maker of base names: unique over all processes and hosts that share the file system."""

    def __init__(self, host: str | None = None) -> None:
        host = socket.gethostname() if host is None else host
        for character in "/:,\\":
            host = host.replace(character, f"\\{ord(character):03o}")
        self._host = "".join(letter for letter in host if letter.isprintable() and letter != " ") or "localhost"
        self._count = count(1)
        self._pid = 0
        self._middle = ""

    def plain(self) -> str:
        """A unique name without sizes: for a file whose size is not known yet."""
        self._know_process()
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        return f"{seconds}.M{nanoseconds // 1000:06d}P{self._pid}Q{next(self._count)}{self._middle}"

    def _know_process(self) -> None:
        if self._pid != os.getpid():
            self._middle = f"R{secrets.token_hex(4)}.{self._host}"
            self._pid = os.getpid()

    def is_orphan(self, name: str) -> bool:
        """Whether the name was made here on this host, by a process that no longer runs."""
        maker = _MAKER.match(name)
        if maker is None:
            return False
        self._know_process()
        pid, middle = int(maker[1]), maker[2]
        if middle.partition(".")[2] != self._host:
            return False
        if pid == self._pid:
            return middle != self._middle
        return not is_running(pid)

    def base(self, stored: int, wire: int) -> str:
        """A unique base that names the message's octets as stored and as sent with CRLF."""
        return f"{self.plain()},S={stored},W={wire}"


unique_names = UniqueNames()


class FlagLetters:
    """Flags <-> letters of one folder, with its keyword table; both directions are remembered.

    Args:
        keywords: the folder's keywords, the first one has the letter "a"; "" where a letter is unused.
    """

    def __init__(self, keywords: Sequence[str] = ()) -> None:
        self.keywords = tuple(keywords[:MOST_KEYWORDS])
        self._flag = dict(SYSTEM_LETTERS)
        self._letter = {flag: letter for letter, flag in SYSTEM_LETTERS.items() if flag != FORWARDED}
        self._keyword_letter: dict[str, str] = {}
        for number, keyword in enumerate(self.keywords):
            if keyword:
                self._flag[chr(97 + number)] = keyword
                self._keyword_letter.setdefault(keyword.lower(), chr(97 + number))
                if keyword.lower() == FORWARDED.lower():
                    self._flag["P"] = keyword
        self._flags_of: dict[str, Flags] = {"": NO_FLAGS}
        self._letters_of: dict[tuple[Flags, str], str] = {}

    def flags(self, letters: str) -> Flags:
        """The flags that these letters stand for; a letter without a meaning here is passed over."""
        known = self._flags_of.get(letters)
        if known is None:
            if len(self._flags_of) >= _MOST_CACHED:
                self._flags_of.clear()
            known = intern_flags(self._flag[letter] for letter in letters if letter in self._flag)
            self._flags_of[letters] = known
        return known

    def knows(self, letters: str) -> bool:
        """Whether each of these letters has a meaning here."""
        return all(letter in self._flag for letter in letters)

    def letters(self, flags: Flags, before: str = "") -> str:
        """The letters for these flags, in ASCII order.

        Args:
            flags: what to say; keywords without a letter are left out (`unlettered` names them).
            before: the letters that the file has now: those without a meaning here are kept.
        """
        known = self._letters_of.get((flags, before))
        if known is None:
            if len(self._letters_of) >= _MOST_CACHED:
                self._letters_of.clear()
            chosen = {letter for letter in before if letter not in self._flag}
            for flag in flags:
                chosen.update(self._letters_for(flag))
            known = "".join(sorted(chosen))
            self._letters_of[flags, before] = known
        return known

    def unlettered(self, flags: Flags) -> Flags:
        """The keywords among these flags that no letter can say."""
        return intern_flags(flag for flag in flags if not self._letters_for(flag) and not flag.startswith("\\"))

    def _letters_for(self, flag: str) -> str:
        """The letters of one flag: $Forwarded has "P", and its keyword letter too where the table has one."""
        letter = self._letter.get(flag)
        if letter is not None:
            return letter
        keyword = flag.lower()
        passed = "P" if keyword == FORWARDED.lower() else ""
        return passed + self._keyword_letter.get(keyword, "")
