"""A full disk, a read-only one, and folders that may not be read: what can be served is served."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.server import MAIL, Twistd, free_port
from tests.faults.client import MESSAGE, Client
from tests.faults.places import as_somebody, fill, read_only

BIG = MESSAGE + b"x" * 70 * 1000 + b"\r\n"
BIGGER = MESSAGE + (b"x" * 70 + b"\r\n") * 20_000


def files_of(account: Path) -> set[str]:
    """All files but those of the index."""
    return {
        str(path.relative_to(account))
        for path in account.rglob("*")
        if path.is_file() and "mailpost-" not in path.name and "dovecot" not in path.name
    }


def troubles(server: Twistd) -> list[str]:
    """What the log says of commands that failed."""
    words = ("Troubles#warn", " failed: ", "could not be", "upkeep of")
    return [line for line in server.said().splitlines() if any(word in line for word in words)]


@pytest.mark.parametrize("octets", [MESSAGE, BIG, BIGGER])
def test_a_full_disk_refuses_mail_and_serves_the_rest(start: Callable[..., Twistd], octets: bytes) -> None:
    server = start(disk="8m")
    account = server.folder / "mail/ann"
    with Client(server.port) as ann:
        for _ in range(20):
            assert ann.append("INBOX").startswith(b"OK")
        ann.ok("SELECT INBOX")
        filler = fill(server.folder / "mail")
        before = files_of(account)
        done = b"OK"
        for _ in range(300):  # what the databases hold in reserve is used up
            if not (done := ann.append("INBOX", octets)).startswith(b"OK"):
                break
            before = files_of(account)
        assert done.startswith(b"NO [OVERQUOTA]"), done
        assert files_of(account) == before
        assert troubles(server)
        count = len(ann.ok("UID SEARCH ALL")[-1].split()) - 2
        assert len(ann.ok("FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[])")) >= count
        ann.ok("STORE 1:5 +FLAGS (\\Seen \\Deleted)")
        ann.ok("EXPUNGE")
        assert len(ann.ok("UID SEARCH ALL")[-1].split()) - 2 == count - 5
        filler.unlink()
        assert ann.append("INBOX", octets).startswith(b"OK")
    server.stop()
    server.start()
    with Client(server.port) as ann:
        assert len(ann.uids("INBOX")) == count - 4
        assert len(ann.ok("UID SEARCH SEEN")[-1].split()) - 2 == 0
    assert "Traceback" not in server.said()


@pytest.mark.parametrize("octets", [MESSAGE, BIG, BIGGER])
@pytest.mark.parametrize("way", ["lmtp", "submission"])
def test_a_full_disk_puts_mail_off(start: Callable[..., Twistd], tmp_path: Path, way: str, octets: bytes) -> None:
    """What comes by LMTP, and what waits for a smarthost; temporary files are on that disk too. RFC: 3463 §3.4"""
    ports = {"lmtp": free_port(), "submission": free_port()}
    before = ("env", f"TMPDIR={tmp_path / 'mail'}")
    server = start(disk="16m", before=before, extra=MAIL.format(**ports, queue="mail/queue"))
    recipients = ["ann", "bob"] if way == "lmtp" else ["carl@example.net"]
    place = server.folder / "mail"

    def sent() -> list[bytes]:
        """The answers behind the message, one for each recipient by LMTP."""
        with (smtplib.LMTP if way == "lmtp" else smtplib.SMTP)("127.0.0.1", ports[way], timeout=60) as client:
            client.ehlo()
            if way == "submission":
                client.login("ann", "pass")
            answers = [client.mail("ann@example.org")]
            answers += [client.rcpt(each) for each in recipients] if answers[0][0] == 250 else []
            if any(code != 250 for code, _ in answers):
                return [b"%d %b" % answer for answer in answers if answer[0] != 250]
            answers = [client.data(octets)] + [client.getreply() for _ in recipients[1:]]
            return [b"%d %b" % answer for answer in answers]

    assert all(answer.startswith(b"250 ") for answer in sent())
    with Client(server.port) as ann:
        ann.ok("SELECT INBOX")
        filler = fill(place)
        known, answers = files_of(place), [b"250 "]
        for _ in range(300):  # what the databases hold in reserve is used up
            answers = sent()
            if not any(answer.startswith(b"250 ") for answer in answers):
                break
            known = files_of(place)
        assert all(answer.startswith(b"452 4.3.1 ") for answer in answers), answers
        assert files_of(place) == known
        if way == "lmtp":
            assert any(b"Text." in line for line in ann.ok("FETCH 1:* (FLAGS BODY.PEEK[])"))
        filler.unlink()
        assert all(answer.startswith(b"250 ") for answer in sent())
    server.stop()
    said = [line.partition("] ")[2] for line in troubles(server) if "The disk is full" in line]
    # Of a large message the temporary file meets it first, or those whose mail it is if an earlier one has just gone.
    whose = {"lmtp": ("ann", "bob", "mail that comes in"), "submission": ("the queue",)}[way]
    assert said
    assert len(said) == len(set(said)), "once each"
    assert set(said) <= {f"{who}: The disk is full: No space left on device" for who in whose}
    assert "Traceback" not in server.said()


def test_a_read_only_account_leaves_the_others(start: Callable[..., Twistd]) -> None:
    server = start(disk="8m")
    bobs = server.folder / "mail/bob"
    with Client(server.port, "bob") as bob:
        assert bob.append("INBOX").startswith(b"OK")
    server.stop()
    with read_only(bobs):
        server.start()
        with Client(server.port) as ann:
            assert ann.append("INBOX").startswith(b"OK")
            for _ in range(3):
                done = refused_login(server.port, "bob")
                assert done.startswith(b"NO ["), done
            assert ann.append("INBOX").startswith(b"OK")
        server.stop()
    server.start()
    with Client(server.port, "bob") as bob:
        assert bob.uids("INBOX") == [1]
    (line,) = [line for line in troubles(server) if "IMAP login of 'bob'" not in line]
    assert "bob: The mail is on a read-only file system" in line
    assert "Traceback" not in server.said()


def refused_login(port: int, user: str) -> bytes:
    """What LOGIN says of an account that cannot be opened."""
    with pytest.raises(AssertionError) as refused:
        Client(port, user)
    return bytes(refused.value.args[0][1])


def test_a_folder_without_permission_leaves_the_others(start: Callable[..., Twistd]) -> None:
    server = start(before=as_somebody())
    with Client(server.port) as ann:
        ann.ok("CREATE Shut")
        ann.ok("CREATE Open")
        assert ann.append("Shut").startswith(b"OK")
        assert ann.append("Open").startswith(b"OK")
    server.stop()
    shut = server.folder / "mail/ann/.Shut"
    shut.chmod(0)
    try:
        server.start()
        with Client(server.port) as ann:
            assert ann.uids("Open") == [1]
            for command in ("SELECT Shut", "STATUS Shut (MESSAGES)") * 3:
                done, _ = ann.do(command)
                assert done.startswith(b"NO [NOPERM]"), done
            assert ann.append("Shut").startswith(b"NO [NOPERM]")
            assert any(b"Shut" in line for line in ann.ok('LIST "" *'))
            assert ann.append("Open").startswith(b"OK")
            time.sleep(2)  # what is done behind meets it too
            (line,) = troubles(server)
            assert "ann: The server may not do this to its files: Permission denied (.Shut)" in line
            shut.chmod(0o700)
            assert ann.uids("Shut") == [1]
    finally:
        shut.chmod(0o700)
    assert "Traceback" not in server.said()
