"""Golden trees: accounts as earlier releases left them, which every later one must open as they were.

`python -m tests.golden 26.11` makes that of this release; done once, before it is published, and never again.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from mailpost.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.maildir import repairing
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.records import Attribute, NewMessage, SpecialUse
from mailpost.wire.imap.structures import summarise
from tests.storage.turning import TurningReactor

GOLDEN = Path(__file__).parent / "data" / "golden"
TREE = "account.tar.gz"
SEEN_IN_IT = "seen.json"
_MESSAGES = (
    b"From: ann@example.org\r\nTo: bob@example.org\r\nSubject: plain\r\nMessage-ID: <1@example.org>\r\n\r\nText.\r\n",
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n",
    b"Subject: \xfc in no charset\r\n\r\nA line end\r\nand another one\nthat is bare\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>two"
    b"\r\n--b--\r\n",
    b"Subject: no body\r\n\r\n",
    b"no header at all\r\n",
)
_FLAGS = ((SEEN,), (FLAGGED, "$Forwarded"), (ANSWERED, SEEN), (DRAFT,), (DELETED, "Later"), ())


class Account:
    """An account in a directory, opened for a moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reactor = TurningReactor()

    def __enter__(self) -> Account:
        self._store = MaildirStore(self.reactor, lambda _: self.root, summarise, use_inotify=False)
        self.account: Any = self.reactor.answer(self._store.account("ann"))
        return self

    def __exit__(self, *_: object) -> None:
        self.account.release()
        self.reactor.answer(self._store.close())

    def seen(self) -> dict[str, Any]:
        """All that clients see of it, as JSON has it."""
        account: IMailAccount = self.account
        folders = {}
        for folder in account.folders():
            status = self.reactor.answer(account.status(folder.name))
            folders[folder.name] = {
                "special_use": folder.special_use.value if folder.special_use else None,
                "mailbox_id": folder.mailbox_id,
                "uidvalidity": status.uidvalidity,
                "uidnext": status.uidnext,
                "highest_modseq": status.highest_modseq,
                "messages": self._messages(folder.name),
            }
        return {"subscribed": sorted(account.subscriptions()), "folders": folders}

    def _messages(self, name: str) -> list[list[Any]]:
        shown = (Attribute.SIZE, Attribute.INTERNALDATE, Attribute.ENVELOPE, Attribute.BODYSTRUCTURE, Attribute.OCTETS)

        async def fetched(mailbox: Any) -> list[list[Any]]:
            columns = zip(mailbox.live.uids, mailbox.live.flags, mailbox.live.modseqs, strict=True)
            facts = {uid: [sorted(flags), modseq] for uid, flags, modseq in columns}
            found: list[list[Any]] = []
            async for batch in mailbox.fetch(list(facts), shown):
                for uid, size, date, *octets in batch:
                    found.append([uid, *facts[uid], size, date, *(each.decode("latin-1") for each in octets)])
            return found

        mailbox = self.reactor.answer(self.account.open(name))
        try:
            return self.reactor.answer(fetched(mailbox))
        finally:
            mailbox.release()


def fill(opened: Account) -> None:
    """Folders of all kinds, with messages of all kinds; some were expunged, some moved; more keywords than letters."""
    answer, account = opened.reactor.answer, opened.account
    for name in ("Work", "Work/Done", "Grüße.2026"):
        answer(account.create(name))
    answer(account.create("Old", SpecialUse.ALL))
    answer(account.subscribe("Work/Done", True))
    answer(account.subscribe("Drafts", False))
    for number, name in enumerate(("INBOX", "Work", "Grüße.2026")):
        letters = [
            NewMessage(octets, intern_flags(flags), 1_000_000_000 + 1000 * number + place)
            for place, (octets, flags) in enumerate(zip(_MESSAGES, _FLAGS, strict=True))
        ]
        answer(account.append(name, letters))
    work = answer(account.open("Work"))
    answer(work.store([1], FlagChange.ADD, intern_flags([f"keyword{number}" for number in range(30)])))
    answer(work.copy([2, 3], "Work/Done", True))
    answer(work.expunge())
    work.release()
    answer(repairing.settle(account))
    answer(repairing.reindex(account))


def unpacked(release: Path, place: Path) -> Path:
    """A copy of a golden tree: its root."""
    with tarfile.open(release / TREE) as tree:
        tree.extractall(place, filter="data")
    root = place / "account"
    root.chmod(0o700)
    return root


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names of whoever made it."""
    return member.replace(uid=0, gid=0, uname="", gname="", deep=False)


def make(release: Path) -> None:
    """Make the golden tree of a release, and note what is seen in it."""
    release.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "account"
        with Account(root) as account:
            fill(account)
        (root / "mailpost-ballast").unlink()
        with tarfile.open(release / TREE, "w:gz") as tree:
            tree.add(root, "account", filter=_nobodys)
        copy = shutil.copytree(root, Path(place) / "copy")
        with Account(copy) as account:
            seen = account.seen()
    (release / SEEN_IN_IT).write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    make(GOLDEN / sys.argv[1])
