"""A server that is killed with -9: what was answered is there when the account is opened again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from mailpost.mail.flags import FLAGGED, SEEN

from .lanes import Bench

PROGRAM = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from mailpost.mail.flags import FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.records import NewMessage
from mailpost.wire.imap.structures import summarise

async def work():
    store = MaildirStore(reactor, lambda user: Path(sys.argv[1]) / user, summarise)
    account = await store.account("ann")
    mailbox = await account.open("INBOX")
    while True:
        added = await account.append("INBOX", [NewMessage(b"Subject: x\\r\\n\\r\\nbody\\r\\n")] * 3)
        print("added", *added.uids, flush=True)
        await mailbox.store(added.uids[:2], FlagChange.ADD, intern_flags([FLAGGED, "work"]))
        print("flagged", *added.uids[:2], flush=True)
        copied = await mailbox.copy(added.uids[1:2], "Archive", move=True)
        print("moved", *copied.source_uids, flush=True)

Deferred.fromCoroutine(work()).addErrback(lambda failure: failure.printTraceback())
reactor.run()
"""


def test_what_was_answered_outlives_the_process(tmp_path: Path) -> None:
    server = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    lines = [server.stdout.readline() for _ in range(61)]
    server.send_signal(signal.SIGKILL)
    lines += server.stdout.readlines()
    server.wait()
    server.stdout.close()
    told: dict[str, set[int]] = {"added": set(), "flagged": set(), "moved": set()}
    for line in lines:
        what, *uids = line.split()
        told[what].update(map(int, uids))
    bench = Bench(tmp_path / "ann")
    bench.look()
    bench.look("Archive")
    flags = bench.flags()
    assert told["added"] - told["moved"] - {max(told["added"]) - 1} <= flags.keys()
    assert not told["moved"] & flags.keys()
    assert all(flags[uid] == {FLAGGED, "work"} for uid in told["flagged"] & flags.keys())
    assert all(SEEN not in each for each in flags.values())
    assert len(bench.names("Archive")) - len(told["moved"]) in (0, 1)
    assert len(bench.cur()) == len(flags)
    assert len(bench.cur(".Archive")) == len(bench.names("Archive"))
    assert bench.append(b"Subject: y\r\n\r\n")[0] > max(told["added"])
    bench.close()
