"""What a check of an account can find, and how what merely passes by is told from what stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

_MOST_NAMED = 5


class Remedy(Enum):
    """What puts a finding right."""

    RELIST = auto()
    """List the directories and bring the rows in line with them."""
    PUT_BACK = auto()
    """Give files the rows that `dovecot-uidlist` tells of."""
    ROWS = auto()
    """Make the rows of a folder agree with each other."""
    NAMES = auto()
    """Write flags into file names."""
    UID_LIST = auto()
    """Write `dovecot-uidlist` out of the state."""
    USAGE = auto()
    """Count anew what all messages take."""
    ORPHANS = auto()
    """Remove rows of folders that there are not."""
    OPENING = auto()
    """Opening the account does it."""
    LEFTOVERS = auto()
    """Remove files in tmp that nobody is writing."""
    CACHED = auto()
    """Forget what the cache says of messages; it is worked out again."""
    CACHE_FILE = auto()
    """Throw the cache away. Nobody may have the account open."""
    STATE_FILE = auto()
    """Set the state aside and build it out of the tree. Nobody may have the account open."""
    MODES = auto()
    """Change permissions."""
    NOTHING = auto()
    """A person is to see to it."""


_WORDS = {
    Remedy.RELIST: "list the folder again",
    Remedy.PUT_BACK: "give them their UIDs back, while no server has the account open",
    Remedy.ROWS: "mend the rows",
    Remedy.NAMES: "write the flags into the names",
    Remedy.UID_LIST: "write it anew",
    Remedy.USAGE: "count it anew",
    Remedy.ORPHANS: "remove them",
    Remedy.OPENING: "finish or undo it",
    Remedy.LEFTOVERS: "remove them",
    Remedy.CACHED: "work them out again",
    Remedy.CACHE_FILE: "throw it away",
    Remedy.STATE_FILE: "set it aside and build it anew",
    Remedy.MODES: "take these permissions away",
    Remedy.NOTHING: "do nothing: see to it yourself",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    remedy: Remedy
    folder: str
    """The folder's directory; "" for the account as a whole."""
    what: str
    items: tuple[str, ...] = ()
    """UIDs or file names that it is about; none where it is about one thing only."""

    @property
    def todo(self) -> str:
        """What a repair does about it."""
        return _WORDS[self.remedy]

    def __str__(self) -> str:
        place = "INBOX" if self.folder == "." else self.folder
        named = ", ".join(self.items[:_MOST_NAMED])
        more = f" and {len(self.items) - _MOST_NAMED} more" if len(self.items) > _MOST_NAMED else ""
        return f"{place}{': ' if place else ''}{self.what}{': ' if named else ''}{named}{more}"


@dataclass(slots=True)
class Report:
    """What a check saw at one time."""

    findings: list[Finding] = field(default_factory=list)
    coming: int = 0
    """Changes that were on their way: deliveries, flags to be written behind and the like."""
    folders: int = 0
    messages: int = 0

    def add(self, remedy: Remedy, folder: str, what: str, items: Iterable[object] = (), *, coming: bool) -> None:
        """Note something about some items; nothing where there are none.

        Args:
            remedy: what puts it right.
            folder: whose it is.
            what: in words.
            items: what it is about.
            coming: that is done anyway, soon, or when the folder is next looked at.
        """
        named = tuple(str(item) for item in items)
        if named and coming:
            self.coming += len(named)
        elif named:
            self.findings.append(Finding(remedy, folder, what, named))

    def lasting(self, earlier: Report) -> Report:
        """The report with those findings only that an earlier one had too."""
        before = {(one.remedy, one.folder, one.what): set(one.items) for one in earlier.findings}
        lasting = []
        for one in self.findings:
            items = before.get((one.remedy, one.folder, one.what))
            if items is not None:
                both = tuple(item for item in one.items if item in items)
                if both or not one.items:
                    lasting.append(replace(one, items=both))
        return replace(self, findings=lasting)
