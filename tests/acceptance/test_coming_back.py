"""Clients that come back after more than a thousand changes: what they then know is what is there.

Two other clients and a program without a server change the folder, and then the server is stopped, or loses what can
be rebuilt. RFC: 7162 §3.2.5, §3.2.5.1, §3.2.5.2
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.mirror import Mirror, fresh, written
from tests.acceptance.server import Twistd, configured
from tests.corpus import messages
from tests.faults.client import Client

COUNT = 2_000
BY_CLIENTS = 400
"""Changes of each of two clients: flags, arrivals, expunges."""
OUTSIDE = 250
"""Changes of a program that knows nothing but the Maildir."""
SETTLED_WITHIN = 5
"""Seconds that the server has to bring the folder and its index in line, on a busy machine."""
LETTERS = {"D": b"\\Draft", "F": b"\\Flagged", "R": b"\\Answered", "S": b"\\Seen", "T": b"\\Deleted"}
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Work", "later")


def fill(maildir: Path) -> None:
    """Real messages, put there before there was a server."""
    small = [each.replace(b"\r\n", b"\n") for each in messages() if len(each) < 20_000]
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    for number in range(COUNT):
        letters = "".join(letter for letter, every in (("F", 7), ("S", 2)) if number % every == 0)
        file = maildir / "cur" / f"17000{number:05}.M1P1.elsewhere:2,{letters}"
        file.write_bytes(small[number % len(small)])


def work(port: int, seed: int) -> int:
    """A client changes flags, expunges and appends: how many changes were made."""
    draw = random.Random(seed)
    done = 0
    with Client(port) as client:
        client.ok("SELECT INBOX")
        while done < BY_CLIENTS:
            (found,) = (line for line in client.ok("UID SEARCH ALL") if line.startswith(b"* SEARCH"))
            uids = [int(uid) for uid in found.split()[2:]]
            some = sorted(draw.sample(uids, 20))
            match draw.randrange(4):
                case 0 | 1:
                    sign, flag = draw.choice("+-"), draw.choice(FLAGS)
                    told = client.ok(f"UID STORE {written(some)} {sign}FLAGS ({flag})")
                    done += sum(b"FETCH" in line for line in told)
                case 2:
                    client.ok(f"UID STORE {written(some)} +FLAGS.SILENT (\\Deleted)")
                    client.ok(f"UID EXPUNGE {written(some)}")
                    done += len(some)
                case 3:
                    for number in range(10):
                        assert client.append("INBOX", b"Subject: %d\r\n\r\nnew\r\n" % number).startswith(b"OK")
                    done += 10
    return done


def work_outside(maildir: Path, seed: int) -> int:
    """Another program renames, removes and delivers: how many changes were made."""
    draw = random.Random(seed)
    done = 0
    for number in range(OUTSIDE // 10):
        there = sorted((maildir / "cur").iterdir())
        for path in draw.sample(there, 7):
            base, _, letters = path.name.partition(":2,")
            other = "".join(sorted(set(letters) ^ {draw.choice("FRS")}))
            done += moved(path, path.with_name(f"{base}:2,{other}"))
        for path in draw.sample(there, 2):
            done += removed(path)
        tmp = maildir / "tmp" / f"1800000{number:03}.M1P1.elsewhere"
        tmp.write_bytes(b"Subject: from outside\n\nnew\n")
        tmp.rename(maildir / "new" / tmp.name)
        done += 1
    return done


def moved(path: Path, target: Path) -> bool:
    """Whether a file was there to be renamed: the server renames them, too."""
    try:
        path.rename(target)
    except FileNotFoundError:
        return False
    return True


def removed(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def on_disk(maildir: Path) -> dict[int, set[bytes]]:
    """UID -> system flags, as the UID list and the names of the files say; 0 for a file that is not listed."""
    lines = (maildir / "dovecot-uidlist").read_text().splitlines()[1:]
    uids = {base: int(fields.split()[0]) for fields, base in (line.split(" :", 1) for line in lines)}
    named = (path.name.partition(":2,") for path in (maildir / "cur").iterdir())
    return {
        uids.get(base, 0): {LETTERS[letter] for letter in letters if letter in LETTERS} for base, _, letters in named
    }


def settled(port: int, maildir: Path) -> Mirror:
    """What somebody sees when all has been heard of that others did, and all has been written that we did.

    The first takes up to 0.1 s, the second 0.3 s and what the renames need.
    """
    deadline = time.monotonic() + SETTLED_WITHIN
    while True:
        now = fresh(port)
        seen = {uid: now.flags[uid] & {*LETTERS.values()} for uid in now.uids}
        if seen == (files := on_disk(maildir)):
            return now
        assert time.monotonic() < deadline, [uid for uid in {*seen, *files} if seen.get(uid) != files.get(uid)]


def nothing(server: Twistd, maildir: Path) -> None:
    """The server goes on."""


def stopped(server: Twistd, maildir: Path) -> None:
    """The server is started anew."""
    server.stop()
    server.start()


def killed(server: Twistd, maildir: Path) -> None:
    """The server dies, and is started anew."""
    server.kill()
    server.start()


def loses(*files: str) -> Callable[[Twistd, Path], None]:
    """The server is started anew without these."""

    def lose(server: Twistd, maildir: Path) -> None:
        server.stop()
        for name in files:
            found = [*maildir.glob(f"mailpost-{name}.sqlite3*")]
            assert found
            for file in found:
                file.unlink()
        server.start()

    return lose


def changed_while_stopped(server: Twistd, maildir: Path) -> None:
    """The server is started anew, and others have been at work meanwhile."""
    server.stop()
    assert work_outside(maildir, 4) > OUTSIDE // 2
    server.start()


BETWEEN = {
    "kept": nothing,
    "started anew": stopped,
    "killed": killed,
    "state lost": loses("state"),
    "cache lost": loses("cache"),
    "both lost": loses("state", "cache"),
    "changed while stopped": changed_while_stopped,
}


@pytest.mark.parametrize("between", BETWEEN)
def test_who_comes_back_knows_what_is_there(tmp_path: Path, between: str) -> None:
    maildir = tmp_path / "mail" / "ann"
    fill(maildir)
    with configured(tmp_path) as server:
        ways: dict[str, Callable[[Mirror], str]] = {
            "modseq": lambda known: "",
            "uids": lambda known: f" 1:{known.uids[-1]}",
            "match": lambda known: f" {written(known.uids)} {known.samples()}",
        }
        away = {way: fresh(server.port) for way in ways}
        staying, here = Client(server.port), Mirror()
        staying.ok("ENABLE QRESYNC")
        here.take(staying.ok("SELECT INBOX"))
        here.take(staying.ok("UID FETCH 1:* (FLAGS MODSEQ)"))
        with ThreadPoolExecutor(3) as threads:
            others = [threads.submit(work, server.port, seed) for seed in (1, 2)]
            others.append(threads.submit(work_outside, maildir, 3))
            for _ in range(20):
                here.take(staying.ok("NOOP"))
            done = sum(each.result() for each in others)
        assert done >= 1_000
        now = settled(server.port, maildir)
        here.take(staying.ok("NOOP"))
        here.take(staying.ok("UID FETCH 1:* (FLAGS MODSEQ)"))
        assert here.known == now.known, "who stayed"
        staying.close()
        BETWEEN[between](server, maildir)
        now = fresh(server.port)
        for way, known in away.items():
            with Client(server.port) as client:
                client.ok("ENABLE QRESYNC")
                lines = client.ok(f"SELECT INBOX (QRESYNC ({known.uidvalidity} {known.modseq}{ways[way](known)}))")
                known.comes_back(lines)
                if 0 in known.uids:  # what is new is above what it has named
                    known.take(client.ok(f"UID FETCH {max(known.uids) + 1}:* (FLAGS MODSEQ)"))
                assert known.known == now.known, way
                assert known.modseq == now.modseq, way
