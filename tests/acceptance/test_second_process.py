"""Two servers on one Maildir, and `mailpost import` beside them: no UID twice, and each hears of the other at once.

RFC: 9051 §2.3.1.1, §6.3.13, §5.2
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import CONFIG, Twistd, configured, free_port, mailpost

SOON = 0.05
"""Seconds within which an idling session is to hear of another process."""
TRIES = 7
LETTER = b"From: ann@example.org\r\nSubject: %d\r\n\r\ntext\r\n"


def connected(server: Twistd) -> IMAPClient:
    client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=20)
    client.login("ann", "pass")
    return client


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Twistd, Twistd]]:
    """Two processes that serve ann's one Maildir."""
    first = configured(tmp_path)
    port = free_port()
    (tmp_path / "second.toml").write_text(CONFIG.format(port=port))
    second = Twistd(tmp_path, "--config", str(tmp_path / "second.toml"), port=port)
    with first, second:
        yield first, second


@pytest.fixture
def clients(servers: tuple[Twistd, Twistd]) -> Iterator[tuple[IMAPClient, IMAPClient]]:
    """A client of each, both in INBOX."""
    here, there = (connected(server) for server in servers)
    here.select_folder("INBOX")
    there.select_folder("INBOX")
    yield here, there
    here.logout()
    there.logout()


def found(client: IMAPClient, *criteria: str) -> list[int]:
    """What a client finds after the one command in which it is told of changes."""
    client.noop()
    uids: list[int] = client.search(list(criteria) or "ALL")
    return uids


def listed(client: IMAPClient, *names: str) -> list[bool]:
    """Whether LIST shows these, in the next command."""
    found = {name for _, _, name in client.list_folders()}
    return [name in found for name in names]


def heard_after(idler: IMAPClient, wanted: bytes) -> float:
    """Seconds until an idling client hears this; it is told of nothing else for as long."""
    begun = time.monotonic()
    while time.monotonic() < begun + 5:
        if any(each[1] == wanted for each in idler.idle_check(timeout=1)):
            return time.monotonic() - begun
    raise AssertionError(f"{wanted!r} is not heard")


def test_an_ok_of_one_is_seen_by_the_next_command_of_the_other(clients: tuple[IMAPClient, IMAPClient]) -> None:
    here, there = clients
    for number in range(20):
        here.append("INBOX", LETTER % number)
        uids = found(there)
        assert len(uids) == number + 1
        there.add_flags(uids[-1:], [rb"\Flagged", b"$Seen%d" % number])
        assert found(here, "FLAGGED", "KEYWORD", f"$Seen{number}") == uids[-1:]
    there.delete_messages(uids[3:7])
    there.expunge()
    assert found(here) == found(there) == uids[:3] + uids[7:]
    here.move(uids[:2], "Archive")
    assert found(there) == uids[2:3] + uids[7:]
    assert there.folder_status("Archive", ["MESSAGES"])[b"MESSAGES"] == 2


def test_folders_of_one_are_those_of_the_other(clients: tuple[IMAPClient, IMAPClient]) -> None:
    here, there = clients
    here.create_folder("Projects/One")
    there.select_folder("Projects/One")
    here.append("Projects/One", LETTER % 1)
    assert found(there) == [1]
    here.rename_folder("Projects", "Done")
    there.select_folder("Done/One")
    assert found(there) == [1]
    assert listed(there, "Done/One", "Projects/One") == [True, False]
    there.select_folder("INBOX")
    here.delete_folder("Done/One")
    assert listed(there, "Done", "Done/One") == [True, False]


def test_every_command_knows_at_once_what_the_other_did_to_folders(clients: tuple[IMAPClient, IMAPClient]) -> None:
    here, there = clients
    took = []
    for number in range(10):
        name, other = f"F{number}", f"G{number}"
        here.create_folder(name)
        begun = time.monotonic()
        assert listed(there, name, other) == [True, False]
        took.append(time.monotonic() - begun)
        here.rename_folder(name, other)
        assert listed(there, name, other) == [False, True]
        here.subscribe_folder(other)
        assert other in {each for _, _, each in there.list_sub_folders()}
        here.unsubscribe_folder(other)
        assert other not in {each for _, _, each in there.list_sub_folders()}
        here.delete_folder(other)
        assert listed(there, name, other) == [False, False]
        here.create_folder(name)
        there.append(name, LETTER % number)
        assert here.folder_status(name, ["MESSAGES"])[b"MESSAGES"] == 1
        here.create_folder(other)
        there.select_folder(name)
        there.move([1], other)
        assert there.folder_status(other, ["MESSAGES"])[b"MESSAGES"] == 1
        there.select_folder("INBOX")
        here.delete_folder(name)
        here.create_folder(name)
        assert there.folder_status(name, ["MESSAGES"])[b"MESSAGES"] == 0, "it is another one by now"
    assert sorted(took)[len(took) // 2] < SOON, took


@pytest.mark.parametrize("what", ["append", "flags", "expunge"])
def test_an_idling_session_hears_of_the_other_process_at_once(
    clients: tuple[IMAPClient, IMAPClient], what: str
) -> None:
    here, there = clients
    for number in range(TRIES + 1):
        here.append("INBOX", LETTER % number)
    uids = found(there)
    waited = []
    for uid in uids[:TRIES]:
        here.noop()
        there.noop()
        time.sleep(0.5)  # file names have been written behind
        there.idle()
        if what == "append":
            here.append("INBOX", LETTER % 99)
        elif what == "flags":
            here.add_flags([uid], [rb"\Seen"], silent=True)
        else:
            here.delete_messages([uid], silent=True)
            heard_after(there, b"FETCH")
            here.uid_expunge([uid])
        waited.append(heard_after(there, {"append": b"EXISTS", "flags": b"FETCH", "expunge": b"EXPUNGE"}[what]))
        there.idle_done()
    assert sorted(waited)[TRIES // 2] < SOON, waited


def test_no_uid_is_given_twice(servers: tuple[Twistd, Twistd], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(150):
        (source / f"{number}.eml").write_bytes(LETTER % (10_000 + number))

    def appended(server: Twistd, first: int) -> dict[int, bytes]:
        client = connected(server)
        given = {}
        for number in range(first, first + 60):
            octets = LETTER % number
            answer = client.append("INBOX", octets)
            given[int(answer.split(b"]")[0].split()[2])] = octets
        client.logout()
        return given

    with ThreadPoolExecutor(5) as threads:
        imported = threads.submit(mailpost, "import", "ann", str(source), "--config", str(tmp_path / "second.toml"))
        work = [threads.submit(appended, servers[number % 2], 100 * number) for number in range(4)]
        given = [each.result() for each in work]
        assert imported.result().returncode == 0, imported.result().stderr
    expected = {uid: octets for each in given for uid, octets in each.items()}
    assert len(expected) == 240, "a UID was given twice"
    for server in servers:
        client = connected(server)
        client.select_folder("INBOX", readonly=True)
        rows = client.fetch(client.search(), ["BODY.PEEK[]"])
        assert {uid: rows[uid][b"BODY[]"] for uid in expected} == expected
        others = [row[b"BODY[]"] for uid, row in rows.items() if uid not in expected]
        assert sorted(others) == sorted(LETTER % (10_000 + number) for number in range(150))
        client.logout()


def test_one_may_die_and_the_other_goes_on(servers: tuple[Twistd, Twistd]) -> None:
    first, second = servers
    here, there = connected(first), connected(second)
    there.select_folder("INBOX")
    for number in range(10):
        here.append("INBOX", LETTER % number)
    first.kill()
    assert len(found(there)) == 10
    there.append("INBOX", LETTER % 10)
    uids = found(there)
    assert len(uids) == len(set(uids)) == 11
    first.start()
    here = connected(first)
    here.select_folder("INBOX")
    assert here.search() == uids
    here.append("INBOX", LETTER % 11)
    assert found(there) == found(here)
    here.logout()
    there.logout()
