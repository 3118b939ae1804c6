"""A server that is killed again and again while clients and imports work, and the look at what is left each time."""

from __future__ import annotations

import imaplib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from mailpost.storage.failpoints import FAILPOINTS
from mailpost.storage.maildir import checking
from mailpost.storage.maildir.layout import MaildirPlusPlus
from mailpost.wire.imap.structures import summarise
from tests.acceptance.server import Twistd, configured, free_port, mailpost
from tests.crash import mailers
from tests.crash.actors import SHARED, Actor, connected, digest, done, read_box, read_tree
from tests.crash.ledger import Box, Letter, after, differences

ACTORS = 4
MAILERS = 2
_LMTP = """\
lmtp = ["tcp:{port}:interface=127.0.0.1"]
[recipients]
domains = ["example.org"]
"""
LONGEST_WORK = 1.5
"""Seconds after which a server is killed at the latest, if the failpoint is to come at random."""
LONGEST_WAIT = 4.0
"""Seconds that a failpoint is waited for."""
IMPORTED = 12
"""Messages of one import: one append, all or none."""
KEPT_IMPORTS = 5
_AT_WORK = [name for name in FAILPOINTS if name != "intent.undone"]
_WHILE_OPENING = ("intent.undone", "batch.flushed", "batch.committed", "directory.renamed", "message.removed")
_LEFT_BEHIND = ("*/tmp/*", "tmp/*", "..mailpost-new.*", "..mailpost-trash.*")


class Import:
    """`mailpost import` of some messages into a folder of their own, beside the server."""

    def __init__(self, server: Twistd, number: int, failpoint: str) -> None:
        self.folder = f"imported-{number}"
        self._server = server
        self._source = server.folder / self.folder
        self._source.mkdir()
        texts = [b"Subject: %d of import %d\r\n\r\ntext\r\n" % (each, number) for each in range(IMPORTED)]
        for each, text in enumerate(texts):
            (self._source / f"{each}.eml").write_bytes(text)
        self.letters = [Letter(digest(text), frozenset()) for text in texts]
        self._process = self._run(failpoint)

    def _run(self, failpoint: str) -> subprocess.Popen[str]:
        config = str(self._server.folder / "mailpost.toml")
        return subprocess.Popen(
            [
                *("env", f"MAILPOST_FAILPOINT={failpoint}", sys.executable, "-m", "mailpost.admin.main", "import"),
                *("ann", str(self._source), "--folder", self.folder, "--config", config),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def died(self) -> bool:
        """Whether it came to its failpoint."""
        return self._process.returncode == -9

    def end(self, kill: bool) -> bool:
        """Wait for it, or kill it; whether it said that all is there."""
        if kill:
            self._process.kill()
        said, _ = self._process.communicate(timeout=60)
        assert self._process.returncode in (0, -9), f"import: {said}"
        return self._process.returncode == 0

    def again(self) -> None:
        """Run it once more, to its end."""
        self._process = self._run("")
        assert self.end(kill=False)


class Harness:
    """One account under fire.

    Args:
        folder: where everything is kept.
        seed: what happens.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.lmtp = free_port()
        self.server = configured(folder, extra=_LMTP.format(port=self.lmtp))
        self.root = folder / "mail" / "ann"
        self.actors = [Actor(f"actor{number}", random.Random(seed * 100 + number)) for number in range(ACTORS)]
        self.mailers = [mailers.Mailer(f"mx{number}", random.Random(seed * 100 - number)) for number in range(MAILERS)]
        self.kills: Counter[str] = Counter()
        """Where kills fell: the failpoint, or "at random"."""
        self.under_way: Counter[str] = Counter()
        """What clients had asked for and not been answered when the server was killed."""
        self.imports = 0
        self.inbox = Box(0, 1, {})
        self.delivered: list[Letter] = []
        """What another program has put into INBOX since the last look."""
        self._deliveries = count(1)
        self.imported: dict[str, Box] = {}
        self._points = self._failpoints()
        with self.server:
            client = connected(self.server.port)
            done(client, client.create(SHARED))
            self.shared = read_box(client, SHARED)
            done(client, client.create(mailers.FOLDER))
            self.mail = read_box(client, mailers.FOLDER)
            client.logout()

    def _failpoints(self) -> Iterator[str]:
        while True:
            yield from self.draw.sample(_AT_WORK, len(_AT_WORK))

    @property
    def count(self) -> int:
        """Kills so far."""
        return self.kills.total()

    # -- killing

    def round(self) -> None:
        """Work, a kill or two, and a look."""
        failpoint = f"{next(self._points)}:{self.draw.choice((1, 1, 2, 3, 7))}" if self.draw.random() < 0.6 else ""
        imports = self.draw.random() < 0.25
        theirs = failpoint if imports and self.draw.random() < 0.5 else ""  # then it is the import that dies there
        self._start("" if theirs else failpoint)
        running = Import(self.server, self.count, theirs) if imports else None
        for actor in self.actors:
            actor.begin(self.server.port)
        for mailer in self.mailers:
            mailer.begin(self.lmtp)
        if theirs and running is not None:
            running.end(kill=False)
            if running.died:
                self.kills[theirs.partition(":")[0] + " (import)"] += 1
        self._wait_and_kill("" if theirs else failpoint, self.draw.uniform(0.2, LONGEST_WORK))
        for actor in self.actors:
            actor.join()
            assert not actor.refusals, actor.refusals
            self.under_way[actor.in_doubt.kind if actor.in_doubt else "nothing"] += 1
        for mailer in self.mailers:
            mailer.join()
            assert not mailer.refusals, mailer.refusals
            self.under_way["delivery" if mailer.in_doubt else "no delivery"] += 1
        all_there = running.end(kill=self.draw.random() < 0.5) if running is not None else False
        if self.draw.random() < 0.3:
            self._kill_while_opening()
        self.look(running, all_there)

    def _start(self, failpoint: str) -> None:
        self.server.before = ("env", f"MAILPOST_FAILPOINT={failpoint}")
        self.server.start()

    def _wait_and_kill(self, failpoint: str, seconds: float, where: str = "") -> None:
        until = time.monotonic() + (LONGEST_WAIT if failpoint else seconds)
        while time.monotonic() < until and self.server.process.poll() is None:
            time.sleep(0.01)
            if self.draw.random() < 0.05:
                self._deliver()
        reached = self.server.process.poll() is not None
        assert not reached or (failpoint and self.server.process.returncode == -9), self.server.log.read_text()[-3000:]
        self.server.kill()
        self.kills[(failpoint.partition(":")[0] if reached else "at random") + where] += 1

    def _deliver(self) -> None:
        """A message comes as Postfix brings it."""
        number = next(self._deliveries)
        octets = b"Subject: delivery %d\n\ntext\n" % number
        name = f"{number}.M{number}P{number}.elsewhere"
        (self.root / "tmp" / name).write_bytes(octets)
        (self.root / "tmp" / name).rename(self.root / "new" / name)
        self.delivered.append(Letter(digest(octets.replace(b"\n", b"\r\n")), frozenset()))

    def _kill_while_opening(self) -> None:
        """Another kill, while the account is opened and what was interrupted is put right."""
        failpoint = self.draw.choice(_WHILE_OPENING) if self.draw.random() < 0.7 else ""
        self._start(failpoint)
        visitor = Actor("visitor", self.draw)
        visitor.begin_reading(self.server.port)
        self._wait_and_kill(failpoint and f"{failpoint}:1", self.draw.uniform(0.0, 0.3), " (while opening)")
        visitor.join()

    # -- looking

    def look(self, running: Import | None = None, all_there: bool = False) -> None:
        """Start the server and compare everything with what was acknowledged; `mailpost check` finds nothing either."""
        self.server.before = ()
        with self.server:
            client = connected(self.server.port)
            for actor in self.actors:
                self._look_at_own(actor, read_tree(client, actor.owns))
            self._look_at_shared(read_box(client, SHARED))
            self._look_at_inbox(read_box(client, "INBOX"))
            self._look_at_mail(read_box(client, mailers.FOLDER, mailers.as_sent))
            self._look_at_imports(read_tree(client, lambda name: name.startswith("imported-")), running, all_there)
            if running is not None:
                self._import_again(client, running)
            self._look_at_disk()
            self._check()
            client.logout()

    def _look_at_own(self, actor: Actor, found: dict[str, Box]) -> None:
        wrong = differences(actor.tree, {}, found)
        step = actor.in_doubt
        if wrong and step is not None:
            added = {name: letters for name, letters in step.added.items() if name != SHARED}
            done_wrong = differences(after(actor.tree, step), added, found)
            wrong = done_wrong and [*wrong, f"and if {step} was done:", *done_wrong]
        assert not wrong, "\n".join([f"after {self.count} kills:", *wrong])
        actor.tree = found

    def _look_at_shared(self, found: Box) -> None:
        expected = {**self.shared.letters}
        for actor in self.actors:
            assert not expected.keys() & actor.shared.keys(), "a UID was given twice"
            expected.update(actor.shared)
        doubtful = [
            letter for actor in self.actors if actor.in_doubt for letter in actor.in_doubt.added.get(SHARED, ())
        ]
        there = [letter for uid, letter in found.letters.items() if uid not in expected]
        assert not Counter(there) - Counter(doubtful), f"{there} were never sent, or are there twice"
        box = Box(self.shared.uidvalidity, self.shared.uidnext, expected)
        wrong = differences({SHARED: box}, {SHARED: there}, {SHARED: found})
        assert not wrong, "\n".join([f"after {self.count} kills:", *wrong])
        self.shared = found
        for actor in self.actors:
            actor.shared = {}
            actor.in_doubt = None

    def _look_at_inbox(self, found: Box) -> None:
        """All deliveries are there, once."""
        wrong = differences({"INBOX": self.inbox}, {"INBOX": self.delivered}, {"INBOX": found})
        assert not wrong, "\n".join([f"after {self.count} kills:", *wrong])
        self.inbox, self.delivered = found, []

    def _look_at_mail(self, found: Box) -> None:
        """All mail that was acknowledged is there, once; what was under way is there once or not at all."""
        wrong = mailers.look(self.mail, self.mailers, found)
        assert not wrong, "\n".join([f"after {self.count} kills:", *wrong])
        self.mail = found

    def _look_at_imports(self, found: dict[str, Box], running: Import | None, all_there: bool) -> None:
        fresh = found.pop(running.folder, None) if running is not None else None
        wrong = differences(self.imported, {}, found)
        assert not wrong, "\n".join([f"after {self.count} kills:", *wrong])
        if running is not None and (fresh is not None or all_there):
            assert fresh is not None, f"{running.folder} is lost"
            letters = Counter(fresh.letters.values())
            whole = letters == Counter(running.letters)
            assert whole or not (letters or all_there), f"{running.folder}: {len(fresh.letters)} of {IMPORTED}"

    def _import_again(self, client: imaplib.IMAP4, running: Import) -> None:
        running.again()
        box = read_box(client, running.folder)
        assert Counter(box.letters.values()) == Counter(running.letters), f"{running.folder} after a second import"
        self.imported[running.folder] = box
        self.imports += 1

    def _look_at_disk(self) -> None:
        """Nothing half-done lies about, and every file in cur is a message."""
        boxes = [*self.imported.values(), self.shared, self.inbox, self.mail]
        boxes += [box for actor in self.actors for box in actor.tree.values()]
        messages = sum(len(box.letters) for box in boxes)
        until = time.monotonic() + 5
        while True:
            left = [path.name for pattern in _LEFT_BEHIND for path in self.root.glob(pattern)]
            left += [path.name for path in self.root.glob(".*/tmp/*")]
            files = sum(1 for path in [*self.root.glob(".*/cur/*"), *self.root.glob("cur/*")])
            if not left and files == messages:
                return
            assert time.monotonic() < until, f"left behind: {left}; {files} files of {messages} messages"
            time.sleep(0.05)

    def _check(self) -> None:
        """What `mailpost check --full` does, beside the server."""
        report = checking.check(self.root, None, MaildirPlusPlus(), summarise, sample=None)
        assert report.findings == [], "\n".join([f"after {self.count} kills:", *map(str, report.findings)])

    def check(self) -> None:
        """`mailpost check` finds nothing, while no server runs."""
        checked = mailpost("check", "ann", "--config", str(self.server.folder / "mailpost.toml"))
        assert checked.returncode == 0, f"after {self.count} kills: {checked.stdout}{checked.stderr}"

    # -- telling

    def report(self) -> list[str]:
        """Lines that say where the kills fell."""
        acknowledged = sum(actor.acknowledged for actor in self.actors)
        delivered = sum(mailer.total for mailer in self.mailers)
        lines = [f"{self.count} kills, {acknowledged} acknowledged operations, {self.imports} imports beside them"]
        lines += [f"{delivered} acknowledged deliveries"]
        lines += [f"  {number:4}  {where}" for where, number in sorted(self.kills.items(), key=lambda item: -item[1])]
        lines += ["commands under way when the server died:"]
        lines += [f"  {number:4}  {what}" for what, number in sorted(self.under_way.items(), key=lambda item: -item[1])]
        return lines
