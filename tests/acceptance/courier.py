"""Debian's Courier IMAP over one Maildir, without its daemons: a client talks to its `imapd` through pipes.

It is the installed one, or that of the folder named in MAILPOST_COURIER, into which its packages were unpacked
(`dpkg-deb --extract`).
"""

from __future__ import annotations

import imaplib
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.acceptance.dovecot import AS_MAIL_USER

ROOT = Path(os.environ.get("MAILPOST_COURIER") or "/")
_IMAPD = ROOT / "usr/bin/imapd"
_SETTINGS = ROOT / "etc/courier/imapd"
_MAKE = ROOT / "usr/bin/maildirmake.courier"
_LIBRARIES = [ROOT / each for each in ("usr/lib", "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")]
_SETTING = re.compile(r'^(\w+)="?([^"\n]*)"?$', re.MULTILINE)


def missing() -> str:
    """Why Courier cannot be run here; "" where it can."""
    if not all(each.exists() for each in (_IMAPD, _SETTINGS, _MAKE)):
        return "Courier is not installed, and MAILPOST_COURIER names no folder with it"
    if shutil.which("setpriv") is None or os.geteuid() != 0:
        return "only root, with setpriv, can start Courier as the mail user"
    probe = subprocess.run([_MAKE], env=_environment(), capture_output=True, text=True, check=False)
    return f"Courier does not start: {probe.stderr.strip()}" if probe.returncode == 127 else ""


def _environment() -> dict[str, str]:
    found = dict(os.environ)
    if Path("/") != ROOT:
        found["LD_LIBRARY_PATH"] = ":".join(map(str, _LIBRARIES))
    return found


def make(maildir: Path) -> None:
    """Make an empty account."""
    subprocess.run([*AS_MAIL_USER, _MAKE, maildir], env=_environment(), check=True)


class Session(imaplib.IMAP4):
    """A client that is logged in."""

    def __init__(self, maildir: Path, log: Path) -> None:
        self._maildir, self._log_file = maildir, log
        super().__init__()
        self.state = "AUTH"  # which a server that was started so does not say

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Start the server."""
        environment = {
            **_environment(),
            **dict(_SETTING.findall(_SETTINGS.read_text())),
            "AUTHENTICATED": "ann",
            "AUTHADDR": "ann",
            "MAILDIR": str(self._maildir),
            "IMAP_CAPABILITY": "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE",
            "IMAP_EMPTYTRASH": "",
            "IMAP_USELOCKS": "0",  # each lock asks a daemon of another package
        }
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*AS_MAIL_USER, _IMAPD, self._maildir],
                cwd=self._maildir,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def read(self, size: int) -> bytes:
        """Octets of the server."""
        assert self._process.stdout is not None
        return self._process.stdout.read(size)

    def readline(self) -> bytes:
        """A line of the server."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def send(self, data: bytes) -> None:  # type: ignore[override]
        """Octets for the server."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def shutdown(self) -> None:
        """Wait for its end."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(20)
