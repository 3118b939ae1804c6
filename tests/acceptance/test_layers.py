"""TLS and compression below real sessions that pipeline, in pieces of any size, while others append.

RFC: 4978 §3, §4, 9051 §6.2.1, 3501 §6.2.1
"""

from __future__ import annotations

import io
import socket
import ssl
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd, configured
from tests.corpus import messages
from tests.faults.client import Client
from tests.protocols.imap.test_sockets import Blocking
from tests.service.certificates import write_certificate

COUNT, MORE = 150, 40
TLS = '[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n'
LOGIN = b"a LOGIN ann pass\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Twistd]:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    with configured(tmp_path, extra=TLS) as running:
        yield running


@pytest.fixture(params=["clear", "TLS"])
def client(request: pytest.FixtureRequest, server: Twistd) -> Iterator[Blocking]:
    """A client that has not logged in."""
    client = Blocking(server.port)
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if request.param == "TLS":
        client.begins_tls()
    yield client
    client.close()


def all_that_comes(client: Blocking) -> bytes:
    """Everything up to the end of the connection, which the server makes."""
    octets: bytes = client.lines.read()
    return octets


@pytest.mark.parametrize("behind", [b"b NOOP\r\n", b"b LOGIN ann pass\r\n", b"\x16\x03\x01", b"x"])
def test_nothing_that_comes_behind_starttls_is_taken(server: Twistd, behind: bytes) -> None:
    client = Blocking(server.port)
    client.socket.sendall(b"a STARTTLS\r\n" + behind)
    assert all_that_comes(client) == b"a BAD Nothing may be sent behind STARTTLS until it is answered\r\n"
    client.close()


def test_what_was_sent_before_starttls_is_answered_before_it(server: Twistd) -> None:
    client = Blocking(server.port)
    client.socket.sendall(b"a NOOP\r\nb CAPABILITY\r\nc XYZZY\r\nt STARTTLS\r\n")
    heard = b"".join(client.until(b"t"))
    assert [line.split()[:2] for line in heard.splitlines() if line[1:2] == b" " and line[:1] != b"*"] == [
        [b"a", b"OK"],
        [b"b", b"OK"],
        [b"c", b"BAD"],
        [b"t", b"OK"],
    ]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(client.socket) as inside:
        lines = inside.makefile("rb")
        inside.sendall(b"d CAPABILITY\r\n" + LOGIN + b"e SELECT INBOX\r\nf STARTTLS\r\n")
        heard = b""
        while not heard or not heard.splitlines()[-1].startswith(b"f "):
            heard += lines.readline()
    assert b"STARTTLS" not in heard.split(b"d OK")[0], "not announced once it is there"
    assert b"\r\ne OK [READ-WRITE]" in heard
    assert heard.splitlines()[-1].startswith(b"f BAD")
    client.close()


@pytest.mark.parametrize("behind", [b"b NOOP\r\n", zlib.compress(b"b NOOP\r\n", wbits=-15)])
def test_nothing_may_come_behind_compress_before_its_answer(client: Blocking, behind: bytes) -> None:
    client.socket.sendall(LOGIN)
    client.until(b"a")
    client.socket.sendall(b"z COMPRESS DEFLATE\r\n" + behind)
    assert all_that_comes(client) == b"z BAD Nothing may be sent behind COMPRESS until it is answered\r\n"


def test_what_was_sent_before_compress_is_answered_in_the_clear(client: Blocking) -> None:
    client.socket.sendall(LOGIN + b"b SELECT INBOX\r\nc NOOP\r\nz COMPRESS DEFLATE\r\n")
    heard = client.until(b"z")
    assert [line[:4] for line in heard if line[:1] in b"abcz"] == [b"a OK", b"b OK", b"c OK", b"z OK"]


def test_compressed_commands_cut_at_every_octet(client: Blocking) -> None:
    client.socket.sendall(LOGIN + b"b SELECT INBOX\r\n")
    client.until(b"b")
    client.begins_compression()
    compressed = client.socket
    deflating = compressed._deflating
    over = compressed.over

    def packed(number: int) -> bytes:
        commands = (
            b"%d.a NOOP\r\n%d.b APPEND INBOX {25+}\r\nSubject: %05d\r\n\r\nbody\r\n\r\n%d.c FETCH * (UID FLAGS)\r\n"
        )
        octets: bytes = deflating.compress(commands % (number, number, number, number))
        return octets + deflating.flush(zlib.Z_SYNC_FLUSH)

    def answers(number: int) -> None:
        heard = [line for line in client.until(b"%d.c" % number) if line.startswith(b"%d." % number)]
        assert [line.split()[1] for line in heard] == [b"OK"] * 3, heard

    number, at = 0, 1
    while at < len(octets := packed(number)):
        over.sendall(octets[:at])
        over.sendall(octets[at:])
        answers(number)
        number, at = number + 1, at + 1
    assert number > 15, "cut at each place, and the number of octets shrinks as the stream goes on"
    for octet in octets:  # one by one, all of them
        over.sendall(bytes((octet,)))
    answers(number)
    for some in range(5):  # and many commands in one piece
        over.sendall(b"".join(packed(1_000 + 10 * some + each) for each in range(10)))
    answers(1_049)
    assert client.says(b"s STATUS INBOX (MESSAGES)")[0].endswith(b"(MESSAGES %d)\r\n" % (number + 51))


def fetched(client: Blocking, tag: bytes) -> dict[int, bytes]:
    """UID -> octets, of an answer to FETCH (UID BODY.PEEK[])."""
    found: dict[int, bytes] = {}
    while not (line := client.lines.readline()).startswith(tag + b" "):
        assert line
        if line.endswith(b"}\r\n"):
            uid, size = int(line.split(b"UID ")[1].split()[0]), int(line[line.rindex(b"{") + 1 : -3])
            found[uid] = client.lines.read(size)
            assert client.lines.readline() == b")\r\n"
    assert line.startswith(tag + b" OK"), line
    return found


def test_a_large_fetch_while_another_appends(server: Twistd, client: Blocking) -> None:
    real = [each for each in messages() if 0 < len(each) < 200_000]
    letters = [b"X-Number: %d\r\n" % number + real[number % len(real)] for number in range(COUNT + MORE)]
    third = Client(server.port)
    for each in letters[:COUNT]:
        assert third.append("INBOX", each).startswith(b"OK")
    client.socket.sendall(LOGIN + b"b SELECT INBOX\r\n")
    client.until(b"b")
    client.begins_compression()
    plain = Blocking(server.port)
    plain.says(LOGIN[:-2])
    plain.says(b"b SELECT INBOX")
    with ThreadPoolExecutor(1) as threads:
        appended = threads.submit(lambda: [third.append("INBOX", each) for each in letters[COUNT:]])
        for turn in range(4):
            client.socket.sendall(b"c%d UID FETCH 1:* (UID BODY.PEEK[])\r\nd%d NOOP\r\n" % (turn, turn))
            found = fetched(client, b"c%d" % turn)
            client.until(b"d%d" % turn)
            assert len(found) >= COUNT
            assert found == {uid: letters[uid - 1] for uid in found}
        assert all(done.startswith(b"OK") for done in appended.result())
    for one in (client, plain):
        one.says(b"e NOOP")
        one.socket.sendall(b"f UID FETCH 1:* (UID BODY.PEEK[])\r\n")
        assert fetched(one, b"f") == dict(enumerate(letters, 1))
    assert isinstance(client.socket, io.RawIOBase), "it was compressed"
    plain.close()
    third.close()
