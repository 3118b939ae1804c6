"""An account's writer lane without threads: jobs are run one by one, news are collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mailpost.mail.errors import MailError
from mailpost.mail.flags import NO_FLAGS, Flags
from mailpost.storage.index import messages
from mailpost.storage.maildir import scan, tree, writing
from mailpost.storage.maildir.batch import Batches
from mailpost.storage.maildir.lane import FolderInfo, Lane
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.opening import open_files
from mailpost.storage.maildir.writing import Incoming

T = TypeVar("T")

MESSAGE = b"From: ann@example.org\r\nSubject: hello\r\n\r\nbody\r\n"


class Ears:
    """A listener that keeps what it hears: (what, values) each, and the folders."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[Any, ...]]] = []
        self.folders: dict[str, FolderInfo] = {}
        self.subscriptions: frozenset[str] = frozenset()

    def tree(self, folders: Sequence[FolderInfo]) -> None:
        self.folders = {info.name: info for info in folders}

    def subscribed(self, names: frozenset[str]) -> None:
        self.subscriptions = names

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values: self.heard.append((name, values))

    def take(self, *names: str) -> list[tuple[Any, ...]]:
        """What was heard under these names, without the folder; all is forgotten."""
        found = [(name, *values[1:]) for name, values in self.heard if name in names]
        self.heard.clear()
        return found


class Bench:
    """An account, opened as the store does it."""

    def __init__(
        self,
        root: Path,
        defaults: dict[str, Any] | None = None,
        hierarchy: Hierarchy = Hierarchy.MAILDIR_PLUS_PLUS,
    ) -> None:
        layout = layout_of(hierarchy)
        self.root = root
        self.closed = False
        self.opened = open_files(root, None, layout)
        self.ears = Ears()
        self.batches = Batches(self.opened.state, self.opened.generation)
        self.lane = Lane(self.opened.root_fd, layout, self.batches, self.ears)
        self.left = self.do(tree.open_account, defaults, self.opened.continues, self.opened.is_clean)

    def do(self, job: Callable[..., T], *args: Any, **named: Any) -> T:
        """One job, a batch of its own."""
        failure: BaseException | None = None
        try:
            self.batches.begin()
            try:
                value = self.batches.run(lambda: job(self.lane, *args, **named))
            except MailError as error:  # as in the lane: the batch goes on without the job
                failure = error
            self.batches.commit()
        except BaseException:
            self.batches.abort()
            raise
        finally:
            while self.batches.told:
                self.batches.told.popleft()()
        if failure is not None:
            raise failure
        return value

    def number(self, name: str = "INBOX") -> int:
        return self.ears.folders[name].number

    def look(self, name: str = "INBOX") -> None:
        self.do(scan.look, self.number(name))

    def append(
        self, *messages: bytes, name: str = "INBOX", flags: Flags = NO_FLAGS, date: int = 1_000_000_000
    ) -> list[int]:
        incoming = [Incoming(octets, flags, date) for octets in messages]
        return list(self.do(writing.append, self.number(name), incoming, None).uids)

    def names(self, name: str = "INBOX") -> dict[int, str]:
        """UID -> file name, as the state has it."""
        return dict(messages.names(self.lane.db, self.number(name)))

    def flags(self, name: str = "INBOX") -> dict[int, Flags]:
        uids, masks, _ = messages.columns(self.lane.db, self.number(name))
        bits = self.lane.folder(self.number(name)).bits
        return {uid: bits.flags(mask) for uid, mask in zip(uids, masks, strict=True)}

    def directory(self, name: str) -> str:
        return self.lane.layout.directory(name)

    def cur(self, directory: str = ".") -> list[str]:
        return sorted(path.name for path in (self.root / directory / "cur").iterdir())

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.lane.close()
            self.opened.close()
