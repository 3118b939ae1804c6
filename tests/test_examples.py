"""The programs of `examples/` run as they are, each against a client over sockets."""

from __future__ import annotations

import imaplib
import json
import re
import shutil
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPBasicAuthHandler, HTTPPasswordMgrWithPriorAuth, Request, build_opener, urlopen

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
RUN = """
import json, runpy, sys
from twisted.internet import task
from twisted.internet.defer import Deferred
main = runpy.run_path(sys.argv[1])["main"]
named = json.loads(sys.argv[2])
task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[3:], port=0, **named)))
"""
_PORT = re.compile(r"(\w+) on 127\.0\.0\.1:(\d+)")


@contextmanager
def program(name: str, *arguments: object, **named: object) -> Iterator[Mapping[str, int]]:
    """Run an example; its ports by protocol."""
    words = [sys.executable, "-c", RUN, str(EXAMPLES / name), json.dumps(named), *map(str, arguments)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield {protocol: int(port) for protocol, port in _PORT.findall(process.stdout.readline())}
        finally:
            process.terminate()


@contextmanager
def imap(port: int, user: str, password: str = "secret") -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("127.0.0.1", port, timeout=20) as client:
        client.login(user, password)
        yield client


@contextmanager
def http(handler: Any) -> Iterator[str]:
    """A web server in a thread: its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What a condition gives when it is met."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.05)
    return found


def messages(client: imaplib.IMAP4) -> list[Any]:
    """All messages of the selected folder."""
    _, rows = client.fetch("1:*", "(BODY.PEEK[])")
    return [message_from_bytes(row[1], policy=policy.default) for row in rows if isinstance(row, tuple)]


def mail(subject: str, text: str, sender: str = "bob@bugs.example") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "tickets@bugs.example", subject
    message.set_content(text)
    return message


@pytest.mark.parametrize(
    ("name", "arguments", "user", "count"),
    [("in_memory.py", [], "ann", b"1"), ("stock_server.py", ["a maildir"], "me", b"0")],
)
def test_a_program_serves_mail(name: str, arguments: list[str], user: str, count: bytes, tmp_path: Path) -> None:
    with program(name, *(tmp_path / each for each in arguments)) as port, imap(port["IMAP"], user) as client:
        assert client.select("INBOX") == ("OK", [count])


# ------------------------------------------------------------------------------------------------ feeds

RSS = """<?xml version="1.0"?>
<rss version="2.0"><channel><title>News</title><link>http://example.org/</link>
<item><guid>2</guid><title>Second &amp; last</title><link>http://example.org/2</link>
 <pubDate>Mon, 10 Sep 2001 12:00:00 GMT</pubDate>
 <description>&lt;p&gt;Read&lt;script&gt;alert(1)&lt;/script&gt; me&lt;/p&gt;</description></item>
<item><guid>1</guid><title>First</title><pubDate>Sun, 09 Sep 2001 12:00:00 GMT</pubDate><author>Ann</author></item>
</channel></rss>
"""
ATOM = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Atom</title>
<entry><id>a</id><title>An entry</title><updated>2003-12-13T18:30:02Z</updated><content>Text</content></entry></feed>
"""


class Slowly(SimpleHTTPRequestHandler):
    """So clients are there before the feeds have been read, when nothing is known of what they have."""

    def do_GET(self) -> None:
        time.sleep(0.5)
        super().do_GET()


def test_feeds_are_folders(tmp_path: Path) -> None:
    (tmp_path / "news.xml").write_text(RSS)
    atom = tmp_path / "atom.xml"
    atom.write_text(ATOM)
    state = tmp_path / "feeds.sqlite3"
    with http(partial(Slowly, directory=str(tmp_path))) as address:
        for run in range(2):
            feeds = f"{address}/news.xml", atom, f"{address}/missing.xml"
            with program("feed_reader.py", *feeds, state=str(state)) as port, imap(port["IMAP"], "me") as client:
                listed = b"\n".join(client.list()[1])  # type: ignore[arg-type]
                assert b'"Feeds/127.0.0.1 news"' in listed
                folder = '"Feeds/127.0.0.1 news"'
                assert until(lambda: client.select(folder)[1][0] == b"2")  # noqa: B023
                first, second = messages(client)
                assert (first["Subject"], second["Subject"]) == ("First", "Second & last")
                assert "Ann" in first["From"]
                html = second.get_body(("html",)).get_content()
                assert "Read" in html
                assert "script" not in html
                found = client.search(None, "SEEN")
                assert found == ("OK", [b"1" if run else b""])
                client.store("1", "+FLAGS", r"(\Seen)")
                assert until(lambda: client.select("Feeds/atom")[1][0] == b"1")
                assert b"13-Dec-2003" in client.fetch("1", "(INTERNALDATE)")[1][0]  # type: ignore[operator]


# ------------------------------------------------------------------------------------------------ bugs


def idle(client: imaplib.IMAP4, act: Callable[[], None], wanted: bytes) -> None:
    """Idle until a line tells of what somebody has done."""
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+ ")
    act()
    while wanted not in client.readline():
        pass
    client.send(b"DONE\r\n")
    while not client.readline().startswith(b"i OK"):
        pass


def test_bugs_are_mail(tmp_path: Path) -> None:
    with (
        program("bug_tracker.py", tmp_path / "bugs.sqlite3") as port,
        imap(port["IMAP"], "ann") as ann,
        imap(port["IMAP"], "bob") as bob,
    ):
        assert ann.select("Tickets/Open") == ("OK", [b"0"])
        opened = mail("It does not print", "Nothing comes out.").as_bytes(policy=policy.SMTP)
        assert bob.append("Tickets/Open", None, None, opened)[0] == "OK"  # type: ignore[arg-type]
        ann.noop()
        (first,) = messages(ann)
        assert (first["Subject"], first["From"]) == ("[#1] It does not print", "bob <bob@bugs.example>")
        assert ann.select("Tickets/Mine") == ("OK", [b"0"])
        assert bob.select("Tickets/Mine") == ("OK", [b"1"])

        def comment() -> None:
            with smtplib.LMTP("127.0.0.1", port["LMTP"], timeout=20) as client:
                client.send_message(mail("Re: [#1] It does not print", "Is it switched on?", "ann@bugs.example"))

        idle(bob, comment, b"* 2 EXISTS")
        assert [each.get_content().strip() for each in messages(bob)] == ["Nothing comes out.", "Is it switched on?"]
        assert messages(bob)[1]["References"] == messages(bob)[0]["References"]
        ann.select("Tickets/Open")
        ann.store("1", "+FLAGS", r"(\Flagged \Seen)")
        assert until(lambda: (bob.noop(), bob.search(None, "FLAGGED"))[1] == ("OK", [b"1 2"]))
        assert bob.search(None, "SEEN") == ("OK", [b""])
        assert bob.search(None, "TEXT", "switched") == ("OK", [b"2"])
        assert bob.copy("1", "INBOX")[0] == "OK"
        assert bob.store("1", "+FLAGS", r"(\Deleted)")[0] == "NO"


# ------------------------------------------------------------------------------------------------ web


def test_a_web_program_with_mail() -> None:
    with program("web_program.py") as port, imap(port["IMAP"], "ann") as client:
        page = f"http://127.0.0.1:{port['HTTP']}/"
        with pytest.raises(HTTPError, match="401"):
            urlopen(page, timeout=20)
        passwords = HTTPPasswordMgrWithPriorAuth()
        passwords.add_password(None, page, "ann", "secret", is_authenticated=True)
        browser = build_opener(HTTPBasicAuthHandler(passwords))

        def said(request: Any) -> str:
            with browser.open(request, timeout=20) as answer:
                text: str = answer.read().decode()
                return text

        assert "0 unread" in said(page)
        assert "INBOX" in said(Request(page, data=b"", method="POST"))
        assert "1 unread" in said(page)
        assert client.select("INBOX") == ("OK", [b"1"])
        client.fetch("1", "(BODY[])")
        assert "0 unread" in said(page)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"), imap(port["IMAP"], "ann", "wrong"):
            pass


def test_new_mail_is_posted_to_a_web_hook_which_is_tried_again() -> None:
    posted: SimpleQueue[dict[str, Any]] = SimpleQueue()
    answers = [503, 500, 200, 200]

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code = answers.pop(0)
            posted.put({**told, "code": code})
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http(Hook) as address, program("web_hook.py", f"{address}/hook", delays=[0.1, 0.1, 0.1]) as port:
        with smtplib.LMTP("127.0.0.1", port["LMTP"], timeout=20) as client:
            for subject in ("one", "two"):
                client.sendmail("bob@example.org", ["ann@example.org"], f"Subject: {subject}\r\n\r\nHello\r\n")
        told = [posted.get(timeout=20) for _ in range(4)]
        assert [(each["subject"], each["uid"], each["code"]) for each in told] == [
            ("one", 1, 503),
            ("one", 1, 500),
            ("one", 1, 200),
            ("two", 2, 200),
        ]
        assert (told[0]["user"], told[0]["folder"]) == ("ann", "INBOX")


# ------------------------------------------------------------------------------------------------ checker


def test_a_checker_of_a_plugin_lets_users_in(tmp_path: Path) -> None:
    place = tmp_path / "plugin"
    shutil.copytree(EXAMPLES / "checker_plugin", place)
    users, config = tmp_path / "users.json", tmp_path / "mailpost.toml"
    config.write_text(
        f'[storage]\nmaildir = "{tmp_path}/mail/{{user}}"\n[listen]\nimap = ["tcp:0:interface=127.0.0.1"]\n'
    )
    environment = {"PYTHONPATH": str(place), "PATH": "/usr/bin:/bin"}
    twist = [sys.executable, "-m", "twisted", "mailpost"]
    add = f"import json_users, pathlib; json_users.add(pathlib.Path({str(users)!r}), 'ann', 'secret')"
    subprocess.run([sys.executable, "-c", add], env=environment, check=True)
    assert "secret" not in users.read_text()
    known = subprocess.run(
        [*twist, "--help-auth"], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "json-users" in known.stdout
    log = tmp_path / "log"
    words = [*twist, "--config", str(config), "--auth", f"json-users:{users}"]
    with (
        log.open("w") as output,
        subprocess.Popen(words, env=environment, stdout=output, stderr=output, cwd=tmp_path) as server,
    ):
        try:
            found = until(lambda: re.search(r"starting on (\d+)", log.read_text()))
            port = int(found[1])
            with imap(port, "ann") as client:
                assert client.select("INBOX") == ("OK", [b"0"])
            for user, password in (("ann", "wrong"), ("eve", "secret")):
                with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"), imap(port, user, password):
                    pass
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("stock_server.py", "MAILDIR"),
        ("feed_reader.py", "FEED"),
        ("bug_tracker.py", "DATABASE"),
        ("web_hook.py", "ADDRESS"),
        ("checker_plugin/json_users.py", "NAME FILE"),
    ],
)
def test_a_program_says_what_it_needs(name: str, wanted: str) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr
