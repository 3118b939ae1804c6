"""The page's interface over a socket, with the server of the harness behind it."""

from __future__ import annotations

import http.client
import json
import smtplib
import socket
import subprocess
import sys
import threading
import time
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from urllib.parse import urlencode

import pytest
from twisted.logger import globalLogPublisher

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.testing import MailServer
from mailpost.web import events, message, safehtml
from mailpost.web.factory import CONNECTIONS

OWN = {"X-Mailpost": "1"}
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.fields = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        assert self.fields["Content-Type"] == "application/json"
        return json.loads(self.body)


def ask(
    server: MailServer, path: str, method: str = "GET", headers: dict[str, str] | None = None, **query: Any
) -> Answer:
    connection = http.client.HTTPConnection(*server.web.address, timeout=20)
    try:
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        connection.request(method, target, headers=headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def mail(to: str = "ann@example.org", **fields: str) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = "Bob <bob@example.org>", to, "hello"
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    made.set_content("Hello!\n")
    made.add_alternative('<b onclick="x()">Hello!</b><script>x()</script><img src="http://e/x">', subtype="html")
    made.add_attachment(PNG, "image", "png", filename='sun "1".png')
    made.add_attachment("<script>x()</script>", "html", filename="../../page.html")
    return made


def send(server: MailServer, made: EmailMessage) -> None:
    with smtplib.SMTP(*server.smtp.address, timeout=20) as client:
        client.send_message(made)


@pytest.fixture
def server(mailpost: MailServer) -> MailServer:
    send(mailpost, mail(Message_ID="<1@example.org>"))
    return mailpost


ANN = {"user": "ann@example.org"}
FIRST = {**ANN, "folder": "INBOX", "uid": 1}


def test_the_page_and_its_files(mailpost: MailServer) -> None:
    page = ask(mailpost, "/")
    assert page.status == 200
    assert page.fields["Content-Type"] == "text/html; charset=utf-8"
    policy = page.fields["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy and "trusted-types 'none'" in policy
    assert "unsafe" not in policy
    for name, kind in (("app.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        found = ask(mailpost, f"/static/{name}")
        assert found.fields["Content-Type"].startswith(kind)
        assert f"/static/{name}".encode() in page.body
    again = ask(mailpost, "/static/app.js", headers={"If-None-Match": ask(mailpost, "/static/app.js").fields["ETag"]})
    assert (again.status, again.body) == (304, b"")
    for path in (
        "/static/",
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        "/app.js",
        "/nope",
        "/static/pages.py",
        "//",
    ):
        assert ask(mailpost, path).status == 404, path
    assert ask(mailpost, "/", "POST").status == 405


def test_what_every_answer_says(server: MailServer) -> None:
    paths: list[tuple[str, dict[str, Any]]] = [
        ("/", {}),
        ("/nope", {}),
        *((f"/api/{name}", FIRST) for name in ("about", "messages", "message", "html", "source", "raw", "nope")),
        ("/api/part", {**FIRST, "part": "2"}),
        ("/api/part", {**FIRST, "part": "2", "show": "1"}),
        ("/api/message", {"user": "nobody"}),
    ]
    for path, query in paths:
        fields = ask(server, path, **query).fields
        assert fields["X-Content-Type-Options"] == "nosniff"
        assert fields["Referrer-Policy"] == "no-referrer"
        assert fields["Cross-Origin-Resource-Policy"] == "same-origin"
        assert fields["Server"] == "mailpost"
        assert "default-src 'none'" in fields["Content-Security-Policy"]
        assert "frame-ancestors" in fields["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in fields
        if path.startswith("/api/"):
            assert fields["Cache-Control"] == "no-store"


def test_a_list_and_a_message(server: MailServer) -> None:
    told = ask(server, "/api/messages", **ANN, count=10, place=[1, 7]).json
    assert (told["total"], told["unseen"], told["places"]) == (1, 1, {"1": 0, "7": -1})
    assert (told["rows"][0]["uid"], told["rows"][0]["subject"]) == (1, "hello")
    found = ask(server, "/api/message", **FIRST).json
    assert (found["uid"], found["subject"], found["flags"]) == (1, "hello", [])
    assert found["text"] == "Hello!\n"
    assert [each["name"] for each in found["attachments"]] == ['sun "1".png', "../../page.html"]
    assert ask(server, "/api/messages", **ANN, count=10, q="nothing like it").json["total"] == 0
    assert ask(server, "/api/messages", **ANN, count=10, q="hello bob").json["total"] == 1


def test_html_is_harmless_and_in_a_sandbox(server: MailServer) -> None:
    found = ask(server, "/api/html", **FIRST)
    assert found.fields["Content-Type"] == "text/html; charset=utf-8"
    assert found.fields["X-Left-Out"] == "1"
    policy = found.fields["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; ")
    assert policy.endswith("sandbox allow-popups allow-popups-to-escape-sandbox")
    assert b"<b>Hello!</b>" in found.body
    assert b"x()" not in found.body and b"http" not in found.body


def test_what_is_downloaded_is_opened_by_nobody(server: MailServer) -> None:
    raw = ask(server, "/api/raw", **FIRST)
    assert raw.body == server.user("ann@example.org").inbox.mails()[0].raw
    page = ask(server, "/api/part", **FIRST, part="3", show="1")
    picture = ask(server, "/api/part", **FIRST, part="2")
    assert (page.body.strip(), picture.body) == (b"<script>x()</script>", PNG)
    for each in (raw, page, picture):
        assert each.fields["Content-Type"] == "application/octet-stream"
        assert each.fields["Content-Disposition"].startswith("attachment; filename=")
        assert "sandbox" in each.fields["Content-Security-Policy"]
    assert page.fields["Content-Disposition"] == (
        "attachment; filename=\"_.._page.html\"; filename*=UTF-8''..%2F..%2Fpage.html"
    )
    shown = ask(server, "/api/part", **FIRST, part="2", show="1")
    assert (shown.fields["Content-Type"], shown.body) == ("image/png", PNG)
    assert ask(server, "/api/part", **FIRST, part="9").status == 404
    source = ask(server, "/api/source", **FIRST)
    assert source.fields["Content-Type"] == "text/plain; charset=utf-8"
    assert source.body == raw.body


def test_marking_deleting_clearing(server: MailServer) -> None:
    inbox = server.user("ann@example.org").inbox
    assert ask(server, "/api/mark", "POST", OWN, **FIRST, flag="seen", on=1).status == 200
    assert inbox.mails()[0].flags == {"\\Seen"}
    ask(server, "/api/mark", "POST", OWN, **FIRST, flag="flagged", on=1)
    ask(server, "/api/mark", "POST", OWN, **FIRST, flag="seen", on=0)
    assert inbox.mails()[0].flags == {"\\Flagged"}
    assert ask(server, "/api/mark", "POST", OWN, **FIRST, flag="deleted", on=1).status == 400
    inbox.fill(2500)
    assert ask(server, "/api/delete", "POST", OWN, **ANN, uid=[1, 3, 99_999]).json == {"removed": 2}
    assert [each.uid for each in inbox.mails("UID 1:5")] == [2, 4, 5]
    assert ask(server, "/api/clear", "POST", OWN, **ANN).json == {"removed": 2499}
    assert inbox.mails() == []


@pytest.mark.parametrize("name", ["mark", "delete", "clear"])
def test_another_site_changes_nothing(server: MailServer, name: str) -> None:
    query = {**FIRST, "flag": "seen", "on": 1}
    here = f"127.0.0.1:{server.web.port}"
    for headers in (
        {},
        {"X-Mailpost": "0"},
        {**OWN, "Origin": "http://evil.example"},
        {**OWN, "Origin": "null"},
        {**OWN, "Origin": "http://127.0.0.1:1"},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
        {**OWN, "Sec-Fetch-Site": "same-site"},
        {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{here}"},
    ):
        refused = ask(server, f"/api/{name}", "POST", headers, **query)
        assert refused.status == 403, headers
        assert refused.json["error"]
    assert ask(server, f"/api/{name}", "GET", OWN, **query).status == 405
    assert ask(server, f"/api/{name}", "PUT", OWN, **query).status == 405
    (left,) = server.user("ann@example.org").inbox.mails()
    assert left.flags == frozenset()
    own = {**OWN, "Origin": f"http://{here}", "Sec-Fetch-Site": "same-origin"}
    assert ask(server, f"/api/{name}", "POST", own, **query).status == 200


def test_another_site_reads_nothing(server: MailServer) -> None:
    for site in ("cross-site", "same-site"):
        assert ask(server, "/api/message", headers={"Sec-Fetch-Site": site}, **FIRST).status == 403
    for site in ("none", "same-origin"):
        assert ask(server, "/api/message", headers={"Sec-Fetch-Site": site}, **FIRST).status == 200
    port = server.web.port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "127.0.0.2",
        "",
        "[::]",
    ):
        for path in ("/", "/api/about"):
            refused = ask(server, path, headers={"Host": host})
            assert refused.status == 403, host
            assert b"this machine" in refused.body
    for host in ("localhost", f"LOCALHOST:{port}", f"127.0.0.1:{port}", "[::1]", f"[::1]:{port}"):
        assert ask(server, "/api/about", headers={"Host": host}).status == 200, host


def test_what_is_not_there(server: MailServer) -> None:
    for path, query, status in (
        ("message", {**ANN, "uid": 7}, 404),
        ("message", {**ANN}, 400),
        ("message", {**ANN, "uid": "x"}, 400),
        ("message", {**ANN, "uid": ["1", "2"]}, 400),
        ("message", {**ANN, "uid": "-1"}, 400),
        ("message", {**ANN, "uid": "²"}, 400),
        ("message", {**FIRST, "folder": "Nowhere"}, 404),
        ("message", {**FIRST, "folder": "x" * 5000}, 404),
        ("message", {"user": "nobody@example.org", "uid": 1}, 404),
        ("messages", {**ANN, "start": "x"}, 400),
        ("transcript", {"number": 9999}, 404),
        ("transcript", {"number": "x"}, 400),
        ("", {}, 404),
        ("..", {}, 404),
    ):
        found = ask(server, f"/api/{path}", **query)
        assert found.status == status, (path, query, found.body)
        assert found.json["error"]
    many = urlencode([("uid", str(number)) for number in range(400)])
    assert ask(server, f"/api/message?{many}").status == 400


def test_nobody_comes_into_being_by_being_looked_for(server: MailServer) -> None:
    ask(server, "/api/messages", user="eve@example.org", count=1)
    store = server._running.store  # type: ignore[attr-defined]
    assert sorted(store._accounts) == ["ann@example.org"]


def test_a_message_that_cannot_be_taken_apart_is_shown_as_source(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(raw: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr(message, "described", broken)
    told = ask(server, "/api/message", **FIRST).json
    assert "could not be taken apart" in told["unreadable"]
    assert told["uid"] == 1
    assert ask(server, "/api/source", **FIRST).status == 200


def test_a_bug_is_told_to_the_log_alone(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(raw: bytes, number: str) -> None:
        raise ValueError("a secret of ours")

    monkeypatch.setattr(message, "part_of", broken)
    told: list[Any] = []
    globalLogPublisher.addObserver(told.append)
    try:
        answer = ask(server, "/api/part", **FIRST, part="1")
    finally:
        globalLogPublisher.removeObserver(told.append)
    assert (answer.status, answer.json["error"][:15]) == (500, "Internal error ")
    (event,) = [each for each in told if each.get("incident")]
    assert event["incident"] == answer.json["error"].rpartition(" ")[2]
    assert "a secret" in event["log_failure"].getErrorMessage()
    assert ask(server, "/api/message", **FIRST).status == 200


def test_events_end_when_their_store_fails(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MailError(ErrorKind.UNAVAILABLE, "The mail store is closing"), ZeroDivisionError()):

        async def broken(account: object, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(events, "refreshed", broken)
            connection = http.client.HTTPConnection(*server.web.address, timeout=20)
            connection.request("GET", f"/api/events?{urlencode(ANN)}")
            with pytest.raises(http.client.IncompleteRead):
                connection.getresponse().read()
            connection.close()
    assert server._running.store.account(ANN["user"]).open("INBOX").live._cursors == {}  # type: ignore[attr-defined]


def test_html_that_is_not_shown_says_why(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safehtml, "LARGEST", 10)
    refused = ask(server, "/api/html", **FIRST)
    assert (refused.status, "larger" in refused.json["error"]) == (422, True)


def test_transcripts(server: MailServer) -> None:
    send(server, mail("carla@example.org"))
    told = ask(server, "/api/transcripts", about="Message-ID: <1@example.org>").json
    assert [each["about"] for each in told] == [False, True]
    assert told[1]["title"].startswith("smtp from 127.0.0.1:")
    lines = ask(server, "/api/transcript", number=told[1]["number"]).json["lines"]
    assert any("RCPT TO:<ann@example.org>".lower() in line.lower() for line in lines)
    assert "web" not in str(server.transcripts)  # what browsers ask for is nobody's mail
    about = ask(server, "/api/about").json
    assert about["transcripts"] and not about["login"] and about["html"]
    assert about["listeners"]["smtp"] == {"host": "127.0.0.1", "port": server.smtp.port}


def test_events(server: MailServer) -> None:
    connection = http.client.HTTPConnection(*server.web.address, timeout=20)
    connection.request("GET", f"/api/events?{urlencode(ANN)}")
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"

    def next_event() -> tuple[str, Any]:
        line = b""
        while not line.startswith(b"event: "):
            line = response.readline()
        return line[7:-1].decode(), json.loads(response.readline()[6:])

    assert next_event() == ("users", [{"name": "ann@example.org", "unseen": 1}])
    assert next_event()[1][0]["unseen"] == 1
    send(server, mail())
    assert next_event() == ("users", [{"name": "ann@example.org", "unseen": 2}])
    assert next_event()[0] == "folders"
    assert next_event() == ("changed", {"folder": "INBOX", "arrived": [2]})
    server.stop()  # ends the connection, too
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


def test_several_requests_on_one_connection(server: MailServer) -> None:
    connection = http.client.HTTPConnection(*server.web.address, timeout=20)
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, f"/api/message?{urlencode(FIRST)}")
        response = connection.getresponse()
        assert response.status == 200
        body = response.read()
        assert bool(body) == (method == "GET")
        assert int(response.headers["Content-Length"]) > 100
    connection.close()


def test_bodies_are_passed_over_and_bounded(server: MailServer) -> None:
    connection = http.client.HTTPConnection(*server.web.address, timeout=20)
    connection.request("POST", f"/api/mark?{urlencode({**FIRST, 'flag': 'seen', 'on': 1})}", b"x" * 1000, OWN)
    assert connection.getresponse().status == 200
    connection.close()
    with socket.create_connection(server.web.address, 20) as raw:
        raw.sendall(b"POST /api/clear HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        with pytest.raises(OSError):
            for _ in range(10_000):
                raw.sendall(b"x" * 10_000)


def test_a_client_that_goes_away_leaves_nothing_behind(server: MailServer) -> None:
    account = server._running.store.account("ann@example.org")  # type: ignore[attr-defined]
    live = account.open("INBOX").live
    gone = threading.Event()
    for _ in range(20):
        with socket.create_connection(server.web.address, 20) as raw:
            raw.sendall(b"GET /api/events?user=ann@example.org HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert raw.recv(100)
    for _ in range(200):
        if not live._cursors:
            break
        gone.wait(0.01)
    assert live._cursors == {}


def test_connections_of_one_client_are_bounded(server: MailServer) -> None:
    open_ones = [socket.create_connection(server.web.address, 20) for _ in range(CONNECTIONS)]
    for each in open_ones:
        each.sendall(b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert each.recv(12) == b"HTTP/1.1 200"
    with socket.create_connection(server.web.address, 20) as one_more, pytest.raises(OSError):
        one_more.sendall(b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if not one_more.recv(12):
            raise ConnectionResetError
    for each in open_ones:
        each.close()
    counted = server._running._service._factories["web"].connections  # type: ignore[attr-defined]
    for _ in range(200):
        if not len(counted):
            break
        time.sleep(0.01)
    assert ask(server, "/api/about").status == 200


def test_no_browser_no_http() -> None:
    program = """
import sys
from mailpost.testing import MailServer
with MailServer() as server:
    assert server.web.url.startswith("http://127.0.0.1:")
    print([name for name in sys.modules if name.startswith("twisted.web") or name == "nh3"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n", done.stdout
