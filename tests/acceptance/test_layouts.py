"""A tree that Dovecot made, in either layout, is served by mailpost as it was, and given back.

RFC: 9051 §2.3.1.1, §6.3.4, §6.3.6, §6.3.7
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tests.acceptance import dovecot
from tests.acceptance.server import Twistd, configured, mailpost

SETTLED = 2.0
"""Seconds within which mailpost has written everything to the tree, on a busy machine too."""
FOLDERS = ("INBOX", "Work", "Work/Reports", "Größe/Mäße", "A.B", "INBOX/Sub", "x/.y")
LETTER = b"From: ann@example.org\r\nSubject: %d\r\n\r\ntext %d\r\n"

pytestmark = pytest.mark.skipif(bool(dovecot.missing()), reason=dovecot.missing() or "Dovecot can be run")


@dataclass(frozen=True)
class Kind:
    """A layout, as the two servers are told of it."""

    dovecot: str
    mailpost: str
    folders: tuple[str, ...]


LAYOUTS = {
    "maildir++": Kind("", "", tuple(name for name in FOLDERS if "." not in name)),
    "fs": Kind(":LAYOUT=fs", 'layout = "fs"\n', FOLDERS),
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the mail user can enter."""
    made = Path(tempfile.mkdtemp(prefix="mailpost-layouts-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(params=sorted(LAYOUTS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return LAYOUTS[request.param]


@pytest.fixture
def server(place: Path, kind: Kind) -> Twistd:
    """A mailpost that runs as the mail user; not started yet."""
    return served_by(place, kind)


def served_by(place: Path, kind: Kind) -> Twistd:
    served = place / "mailpost"
    (served / "mail").mkdir(parents=True)
    server = configured(served)
    config = served / "mailpost.toml"
    config.write_text(config.read_text().replace("[users]", f"{kind.mailpost}[users]"))
    server.before = dovecot.AS_MAIL_USER
    for each in (served, served / "mail", *served.iterdir()):
        shutil.chown(each, dovecot.MAIL_USER, dovecot.MAIL_USER)
    return server


def connected(port: int) -> IMAPClient:
    client = IMAPClient("127.0.0.1", port, ssl=False, timeout=30)
    client.login("ann", "pass")
    return client


def seen(client: IMAPClient) -> dict[str, Any]:
    """All that a client sees: names, subscriptions, and of each folder UIDVALIDITY, UIDNEXT, messages."""
    found: dict[str, Any] = {"subscribed": {name for _, _, name in client.list_sub_folders()}}
    for flags, _, name in client.list_folders():
        if b"\\Noselect" in flags:
            found[name] = None
            continue
        try:
            selected: Any = client.select_folder(name, readonly=True)
        except IMAPClientError as error:  # Dovecot lists a folder once more that it has just deleted
            assert "doesn't exist" in str(error)
            found[name] = None
            continue
        rows: Any = client.fetch(client.search(), ["FLAGS", "BODY.PEEK[]"]) if selected[b"EXISTS"] else {}
        messages = {uid: (row[b"BODY[]"], frozenset(row[b"FLAGS"]) - {b"\\Recent"}) for uid, row in rows.items()}
        found[name] = selected[b"UIDVALIDITY"], selected[b"UIDNEXT"], messages
    return found


def fill(client: IMAPClient, folders: tuple[str, ...]) -> None:
    for number, name in enumerate(folders):
        if name != "INBOX":
            client.create_folder(name)
        if number % 2:
            client.subscribe_folder(name)
        for message in range(4):
            client.append(name, LETTER % (message, number), [b"\\Seen", b"$Work"] if message % 2 else [b"todo"])
        client.select_folder(name)
        client.delete_messages([2])
        client.expunge()


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """Without names above folders, which are there or not as a server likes, and without the next UIDs.

    Dovecot's are exact; mailpost keeps a block ahead, of which it says nothing to its own clients.
    """
    return {
        name: (each[0], each[2]) if isinstance(each, tuple) else each
        for name, each in found.items()
        if each is not None
    }


def test_a_tree_of_dovecot_is_served_and_given_back(place: Path, server: Twistd, kind: Kind) -> None:
    mail, config = server.folder / "mail", str(server.folder / "mailpost.toml")
    with dovecot.Dovecot(place / "dovecot", mail, kind.dovecot) as peer:
        client = connected(peer.port)
        fill(client, kind.folders)
        before = seen(client)
        client.logout()
    with server:
        client = connected(server.port)
        assert seen(client) == before, "names that hold no mail too"
        # Now mailpost's turn: it makes, moves and removes folders and mail.
        client.create_folder("New/Below/Deep")
        client.append("New/Below/Deep", LETTER % (1, 1), [b"\\Flagged", b"$Work"])
        client.rename_folder("Work", "Play/Work")
        client.delete_folder("INBOX/Sub")
        client.subscribe_folder("New/Below/Deep")
        client.unsubscribe_folder("Work")
        client.select_folder("INBOX")
        client.add_flags([1], [b"\\Answered", b"fresh"])
        client.rename_folder("INBOX", "Old")
        client.append("INBOX", LETTER % (9, 9))
        client.delete_folder("New")
        with pytest.raises(IMAPClientError):
            client.delete_folder("New")
        after = seen(client)
        renamed = before["Work/Reports"], after["Play/Work/Reports"]
        assert renamed[0] == renamed[1]
        assert "New" in after
        assert after["New"] is None
        client.logout()
        time.sleep(SETTLED)
        checked = mailpost("check", "ann", "--full", "--config", config, before=dovecot.AS_MAIL_USER)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    with dovecot.Dovecot(place / "again", mail, kind.dovecot) as peer:
        client = connected(peer.port)
        given_back = seen(client)
        assert shown(given_back) == shown(after)
        assert all(given_back[name][1] >= each[1] for name, each in after.items() if isinstance(each, tuple))
        client.append("Play/Work/Reports", LETTER % (5, 5))
        client.delete_folder("Play/Work")
        last = seen(client)
        client.logout()
        noise = [line for line in peer.log.splitlines() if "Error" in line or "Warning" in line or "Panic" in line]
    assert not noise
    with server:
        client = connected(server.port)
        assert shown(seen(client)) == shown(last)
        client.logout()
        assert "Traceback" not in server.log.read_text()


def test_the_other_layout_is_refused_with_a_word(place: Path) -> None:
    server = served_by(place, LAYOUTS["maildir++"])
    with dovecot.Dovecot(place / "dovecot", server.folder / "mail", ":LAYOUT=fs") as peer:
        client = connected(peer.port)
        fill(client, ("INBOX", "Work"))
        client.logout()
    with server:
        client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=30)
        with pytest.raises(IMAPClientError, match="cannot be served yet"):
            client.login("ann", "pass")
        client.shutdown()
    lines = [line for line in server.log.read_text().splitlines() if "the account of ann is not opened" in line]
    assert len(lines) == 1
    assert 'set layout = "fs" under [storage]' in lines[0]
    config = str(server.folder / "mailpost.toml")
    checked = mailpost("check", "ann", "--config", config, before=dovecot.AS_MAIL_USER)
    assert checked.returncode == 1
    assert 'set layout = "fs" under [storage]' in checked.stderr


def test_folders_of_dovecot_come_and_go_while_mailpost_serves(place: Path, server: Twistd, kind: Kind) -> None:
    mail = server.folder / "mail"
    with dovecot.Dovecot(place / "dovecot", mail, kind.dovecot) as peer, server:
        here, there = connected(server.port), connected(peer.port)
        there.create_folder("Made/There")
        there.append("Made/There", LETTER % (1, 1))
        here.select_folder("Made/There")
        assert here.search() == [1]
        here.idle()
        there.append("Made/There", LETTER % (2, 2))
        told = []
        until = time.monotonic() + 5
        while (2, b"EXISTS") not in told and time.monotonic() < until:
            told += here.idle_check(timeout=1)
        here.idle_done()
        assert (2, b"EXISTS") in told
        there.rename_folder("Made/There", "Made/Else")
        here.select_folder("Made/Else")
        assert here.search() == [1, 2]
        with pytest.raises(IMAPClientError):
            here.select_folder("Made/There")
        here.select_folder("INBOX")
        there.delete_folder("Made/Else")
        until = time.monotonic() + 5
        while "Made/Else" in {name for _, _, name in here.list_folders()}:
            assert time.monotonic() < until
            time.sleep(0.1)
        here.logout()
        there.logout()


def test_a_tree_of_the_other_layout_is_imported(place: Path) -> None:
    server = served_by(place, LAYOUTS["maildir++"])
    source = place / "source"
    source.mkdir()
    shutil.chown(source, dovecot.MAIL_USER, dovecot.MAIL_USER)
    with dovecot.Dovecot(place / "dovecot", source, ":LAYOUT=fs") as peer:
        client = connected(peer.port)
        fill(client, FOLDERS)
        before = seen(client)
        client.logout()
    config = str(server.folder / "mailpost.toml")
    with server:
        done = mailpost("import", "ann", str(source / "ann"), "--config", config, before=dovecot.AS_MAIL_USER)
        assert done.returncode == 0, done.stdout + done.stderr
        client = connected(server.port)
        found = seen(client)
        client.logout()

    def mail(folders: dict[str, Any]) -> dict[str, list[Any]]:
        return {
            name: sorted((octets, sorted(flags)) for octets, flags in each[2].values())
            for name, each in folders.items()
            if isinstance(each, tuple) and each[2]
        }

    assert mail(found) == mail(before)


def test_a_backup_of_nested_folders_is_whole(place: Path) -> None:
    server = served_by(place, LAYOUTS["fs"])
    config = str(server.folder / "mailpost.toml")
    with server:
        client = connected(server.port)
        fill(client, FOLDERS)
        before = seen(client)
        done = mailpost("backup", "ann", str(server.folder / "copy"), "--config", config, before=dovecot.AS_MAIL_USER)
        assert done.returncode == 0, done.stdout + done.stderr
        client.logout()
    shutil.rmtree(server.folder / "mail" / "ann")
    (server.folder / "copy").rename(server.folder / "mail" / "ann")
    with server:
        client = connected(server.port)
        assert seen(client) == before
        client.logout()
