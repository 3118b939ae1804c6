"""mutt at a terminal of its own, its keys pressed by `push`: lists, shows, marks, copies, moves, deletes.

RFC: 3501 §6.4.5, 3501 §6.4.6, 3501 §6.4.7, 3501 §6.3.11
"""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd
from tests.corpus import a_round

pytestmark = pytest.mark.skipif(shutil.which("mutt") is None, reason="mutt is not installed")

ORDINARY = 1 if os.environ.get("MAILPOST_CORPUS") else 31
"""The first message that mutt writes as it was: headers that are none, as the first that are made have, it mends."""
_CONFIG = """\
set imap_user = ann
set imap_pass = pass
set imap_authenticators = plain
set ssl_starttls = no
set ssl_force_tls = no
set folder = imap://127.0.0.1:{port}/
set spoolfile = =INBOX
set record = =Sent
set header_cache = {folder}/headers
set message_cachedir = {folder}/bodies
set sort = mailbox-order
set from = ann@example.org
set sendmail = {sendmail}
set editor = true
set imap_condstore = {modern}
set imap_qresync = {modern}
set quit = yes
set delete = yes
set confirmappend = no
set confirmcreate = no
set mark_old = no
set wait_key = no
set pipe_decode = no
set pipe_sep = ""
set copy = yes
set abort_unmodified = no
set abort_nosubject = no
set charset = utf-8
"""


class Mutt:
    """Runs of mutt as ann, in a folder that keeps what it has learnt from one to the next.

    Args:
        modern: whether it may use CONDSTORE and QRESYNC.
    """

    def __init__(self, server: Twistd, folder: Path, modern: bool) -> None:
        folder.mkdir()
        self.folder = folder
        for name in ("headers", "bodies"):
            (folder / name).mkdir()
        sendmail = shutil.which("true") or "/bin/true"
        told = {"port": server.port, "folder": folder, "sendmail": sendmail, "modern": "yes" if modern else "no"}
        (folder / "muttrc").write_text(_CONFIG.format_map(told))
        self.root = f"imap://127.0.0.1:{server.port}/"

    def press(self, keys: str, mailbox: str = "INBOX", *arguments: str) -> str:
        """What is on the terminal while these keys are pressed; the last of them end mutt."""
        master, slave = pty.openpty()
        words = [
            "mutt",
            "-F",
            self.folder / "muttrc",
            "-f",
            f"{self.root}{mailbox}",
            "-e",
            f"push '{keys}'",
            *arguments,
        ]
        environment = {"HOME": str(self.folder), "TERM": "xterm", "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
        process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=self.folder,
            env={**environment, "LINES": "40", "COLUMNS": "120"},
            start_new_session=True,
        )
        os.close(slave)
        said = _read_until_end(master, process, seconds=90)
        assert process.returncode == 0, said[-3000:]
        return said


def _read_until_end(master: int, process: subprocess.Popen[bytes], seconds: float) -> str:
    """What a process writes to its terminal until it ends."""
    said = b""
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if select.select([master], [], [], 0.2)[0]:
                said += os.read(master, 65536)
            elif process.poll() is not None:
                break
    except OSError:
        pass  # EIO: nobody has the other end any more
    finally:
        os.close(master)
        if process.poll() is None and time.monotonic() >= until:
            process.kill()
        process.wait()
    return said.decode(errors="replace")


@pytest.mark.parametrize("modern", [False, True], ids=["plain", "qresync"])
def test_a_round(filled: Twistd, tmp_path: Path, modern: bool) -> None:
    letters = a_round()
    count = len(letters)
    mutt = Mutt(filled, tmp_path / "mutt", modern)
    with IMAPClient("127.0.0.1", filled.port, ssl=False, timeout=30) as other:
        other.login("ann", "pass")

        def there(folder: str, *criteria: str) -> list[int]:
            other.select_folder(folder, readonly=True)
            return list(other.search(list(criteria) or ["ALL"]))

        said = mutt.press("<first-entry><display-message><exit><exit>")
        assert f"Msgs:{count}" in said.replace(" ", "")

        # All are fetched, and piped out as they are.
        mutt.press(f"<tag-pattern>~m {ORDINARY}-{count}<enter><tag-prefix><pipe-message>cat > piped<enter><quit>")
        piped = (mutt.folder / "piped").read_bytes()
        assert piped.replace(b"\r\n", b"\n") == b"".join(letters[ORDINARY - 1 :]).replace(b"\r\n", b"\n")

        # Flags: on some by a pattern, on one by its number.
        mutt.press(
            "<tag-pattern>~m 41-45<enter><tag-prefix><set-flag>!<untag-pattern>~A<enter>"
            "<tag-pattern>~m 49-50<enter><tag-prefix><set-flag>r<untag-pattern>~A<enter>"
            "<tag-pattern>~A<enter><tag-prefix><set-flag>N<untag-pattern>~A<enter><quit>"
        )
        assert there("INBOX", "FLAGGED") == [41, 42, 43, 44, 45]
        assert there("INBOX", "ANSWERED") == [49, 50]
        assert there("INBOX", "SEEN") == []

        # Copied, moved and deleted.
        mutt.press(
            "<tag-pattern>~m 1-100<enter><tag-prefix><copy-message>=Archive<enter><untag-pattern>~A<enter>"
            "<tag-pattern>~m 101-200<enter><tag-prefix><save-message>=Moved<enter><untag-pattern>~A<enter>"
            "<delete-pattern>~m 11-20<enter><quit>"
        )
        left = [uid for uid in range(1, count + 1) if uid not in range(11, 21) and uid not in range(101, 201)]
        assert there("INBOX") == left
        for folder, first in (("Archive", 1), ("Moved", 101)):
            uids = there(folder)
            rows = other.fetch(uids, ["BODY.PEEK[]"])
            assert [rows[uid][b"BODY[]"] for uid in uids] == letters[first - 1 : first + 99]

        # What others do meanwhile is seen by a mutt that has the folder in its cache.
        other.select_folder("INBOX")
        other.add_flags([46, 47], [b"\\Flagged"])
        other.delete_messages([48])
        other.expunge()
        other.append("INBOX", b"Subject: while away\r\nFrom: bob@example.org\r\n\r\nhello\r\n")
        mutt.press(
            "<last-entry><pipe-message>cat > last<enter><limit>~F<enter>"
            "<tag-pattern>~A<enter><tag-prefix><pipe-message>cat > flagged<enter><exit>"
        )
        assert (mutt.folder / "last").read_bytes().startswith(b"Subject: while away")
        marked = b"".join(letters[uid - 1] for uid in range(41, 48))
        assert (mutt.folder / "flagged").read_bytes().replace(b"\r\n", b"\n") == marked.replace(b"\r\n", b"\n")

        # The copy of what is sent goes into Sent.
        mutt.press("<mail>bob@example.org<enter>by mutt<enter><send-message><quit>")
        assert len(there("Sent", "SUBJECT", "by mutt")) == 1

        # Folders are made, renamed and deleted from the list of them.
        mutt.press(
            "<change-folder>?<create-mailbox>Projects<enter><create-mailbox>Gone<enter>"
            "<search>Projects<enter><rename-mailbox><kill-line>Done<enter>"
            "<search>Gone<enter><delete-mailbox>y<exit><exit>"
        )
        names = {name for _, _, name in other.list_folders()}
        assert "Done" in names and not {"Projects", "Gone"} & names
    assert "Traceback" not in filled.log.read_text()
