"""The programs of `examples/` run as they are: each serves a mailbox to a client."""

from __future__ import annotations

import imaplib
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
RUN = """
import runpy, sys
from twisted.internet import task
from twisted.internet.defer import Deferred
main = runpy.run_path(sys.argv[1])["main"]
task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[2:], port=0)))
"""


@pytest.mark.parametrize(
    ("name", "arguments", "user", "messages"),
    [("in_memory.py", [], "ann", b"1"), ("stock_server.py", ["a maildir"], "me", b"0")],
)
def test_a_program_serves_mail(name: str, arguments: list[str], user: str, messages: bytes, tmp_path: Path) -> None:
    words = [sys.executable, "-c", RUN, str(EXAMPLES / name), *(str(tmp_path / each) for each in arguments)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            said = program.stdout.readline()
            port = int(said.partition("127.0.0.1:")[2].partition(",")[0])
            with imaplib.IMAP4("127.0.0.1", port, timeout=20) as client:
                client.login(user, "secret")
                assert client.select("INBOX") == ("OK", [messages])
        finally:
            program.terminate()


def test_the_stock_server_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "stock_server.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "MAILDIR" in done.stderr
    assert "Traceback" not in done.stderr
