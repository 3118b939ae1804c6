"""`mailpost serve-tests`, as a program of another language would use it."""

from __future__ import annotations

import imaplib
import json
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "mailpost.admin.main", "serve-tests"]


def test_it_serves_until_its_input_ends() -> None:
    with subprocess.Popen([*COMMAND, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        told = json.loads(program.stdout.readline())
        ports = {name: each["port"] for name, each in told["endpoints"].items()}
        known = ["imap", "imaps", "lmtp", "pop3", "pop3s", "smtp", "submission", "submissions", "web"]
        assert sorted(ports) == known
        assert told["environment"]["IMAP_URL"] == f"imap://127.0.0.1:{ports['imap']}"
        with smtplib.SMTP("127.0.0.1", ports["smtp"], timeout=20) as client:
            client.sendmail("bob@example.org", ["Ann@example.org"], b"Subject: hello\r\n\r\nHello!\r\n")
        trusted = ssl.create_default_context(cafile=told["ca_file"])
        with imaplib.IMAP4_SSL("127.0.0.1", ports["imaps"], ssl_context=trusted, timeout=20) as imap:
            imap.login("ann@example.org", "any password")
            assert imap.select() == ("OK", [b"1"])
        with imaplib.IMAP4("127.0.0.1", ports["imap"], timeout=20) as imap, pytest.raises(imaplib.IMAP4.error):
            imap.login('"../etc"', "any password")
        program.stdin.close()
        assert program.wait(20) == 0
    assert not Path(told["ca_file"]).exists()


def test_it_tells_a_person_too() -> None:
    done = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
    assert "imap         imap://127.0.0.1:" in done.stdout
    assert "ends with its standard input" in done.stdout
    assert done.stderr == ""
