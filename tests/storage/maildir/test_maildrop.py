"""The lock that other processes see, and the UIDLs that another server has settled."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import behind, writing
from mailpost.storage.maildir.maildrop import locked_file, settled_uidls
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.maildir.uidlist import UIDLIST_FILE, UidEntry, read_uidlist
from mailpost.storage.records import NewMessage
from mailpost.wire.imap.structures import summarise
from tests.storage.maildir.lanes import MESSAGE, Bench

HOLDER = """
import sys, time
from mailpost.storage.maildir.maildrop import locked_file
held = locked_file(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def test_another_process_that_has_it_keeps_us_out_until_it_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "pop3.lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(MailError) as refused:
            locked_file(path)
        assert refused.value.kind is ErrorKind.IN_USE
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    locked_file(path).close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "ann")
    yield bench
    bench.close()


def theirs(bench: Bench, *lines: str) -> None:
    with (bench.root / UIDLIST_FILE).open("a") as file:
        file.writelines(line + "\n" for line in lines)


def uidls(bench: Bench) -> dict[int, str]:
    row = bench.lane.folder(bench.number()).row
    return settled_uidls(lambda: bench.lane.files_of(row), row.uidvalidity)


def with_uidls(bench: Bench) -> None:
    """Three messages of ours, and two of another server's with UIDLs."""
    bench.append(MESSAGE, MESSAGE, MESSAGE)
    bench.do(behind.finish, bench.number(), 0)
    for name in ("four", "five"):
        (bench.root / "cur" / f"{name}:2,").write_bytes(MESSAGE)
    theirs(bench, "4 W50 Pold-4 :four", "5 Pold.5 W50 :five")
    bench.look()


def test_the_p_field_is_read(bench: Bench) -> None:
    assert uidls(bench) == {}
    with_uidls(bench)
    assert uidls(bench) == {4: "old-4", 5: "old.5"}


def test_an_entry_knows_its_uidl() -> None:
    assert UidEntry(1, "W12 Pabc S7").uidl == "abc"
    assert UidEntry(1, "W12").uidl == ""
    assert UidEntry(1).uidl == ""


def test_the_p_field_stays_when_the_list_is_written_anew(bench: Bench) -> None:
    with_uidls(bench)
    path = bench.root / UIDLIST_FILE
    path.write_bytes(path.read_bytes() + b"half a li")
    bench.append(MESSAGE)
    bench.do(behind.finish, bench.number(), 0)
    found = read_uidlist(bench.lane.root_fd)
    assert found is not None
    assert found.appendable
    assert [(entry.uid, entry.uidl) for entry in found.entries.values() if entry.uidl] == [(4, "old-4"), (5, "old.5")]
    assert uidls(bench) == {4: "old-4", 5: "old.5"}


def test_the_p_field_survives_a_new_uidvalidity(bench: Bench) -> None:
    with_uidls(bench)
    before = bench.lane.folder(bench.number()).row.uidvalidity
    first, second = bench.names()[1].partition(":")[0], bench.names()[2].partition(":")[0]
    text = (bench.root / UIDLIST_FILE).read_text()
    swapped = text.replace(f":{first}", ":?").replace(f":{second}", f":{first}").replace(":?", f":{second}")
    (bench.root / UIDLIST_FILE).write_text(swapped)
    bench.look()
    for _ in range(2):
        bench.do(behind.finish, bench.number(), 0)
        bench.look()
    row = bench.lane.folder(bench.number()).row
    assert row.uidvalidity > before
    names = {uid: name.partition(":")[0] for uid, name in bench.names().items()}
    assert len(names) == 5
    assert {names[uid]: uidl for uid, uidl in uidls(bench).items()} == {"four": "old-4", "five": "old.5"}


def test_a_removal_that_fails_removes_nothing(bench: Bench) -> None:
    bench.append(*[MESSAGE] * 5)

    def fails(lane: Any, number: int) -> None:
        writing.remove(lane, number, [(1, 4)], None)
        raise MailError(ErrorKind.DISK_FULL, "full")

    with pytest.raises(MailError):
        bench.do(fails, bench.number())
    assert sorted(bench.names()) == [1, 2, 3, 4, 5]
    assert len(list((bench.root / "cur").iterdir())) == 5


class AccountTests(TestCase):
    async def test_two_servers_on_one_tree(self) -> None:
        place = Path(self.mktemp())
        stores = [MaildirStore(reactor, lambda user: place / user, summarise) for _ in range(2)]
        first, second = [await store.account("ann") for store in stores]
        await first.append("INBOX", [NewMessage(MESSAGE)] * 3)
        held = await first.maildrop()
        with pytest.raises(MailError) as refused:
            await second.maildrop()
        assert refused.value.kind is ErrorKind.IN_USE
        assert await held.remove([2]) == [2]
        held.release()
        held = await second.maildrop()
        assert list(held.mailbox.live.uids) == [1, 3]
        held.release()
        for account, store in zip((first, second), stores, strict=True):
            account.release()
            await store.close()
