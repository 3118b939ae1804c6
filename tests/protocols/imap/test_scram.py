"""SCRAM as IMAP carries it: announced, with and without an initial response, given up, broken.

RFC: 5802, 7677, 4959, 3501 §6.2.2
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, succeed

from mailpost.accounts.checkers import AnyChecker, DirectoryChecker
from mailpost.accounts.directory import PasswordFile
from tests.protocols.imap.harness import Client, Server
from tests.scramclient import ScramClient


def run(function: Callable[[], Any]) -> Deferred[Any]:
    return succeed(function())


@pytest.fixture
def server(tmp_path: Path) -> Server:
    path = tmp_path / "users"
    path.write_text("joe:{PLAIN}secret\n")
    directory = PasswordFile(path, run, lambda: 0.0)
    directory.load()
    checker = AnyChecker([DirectoryChecker(directory, run, lambda: 0.0)])
    made = Server(mechanisms=checker)
    made.factory.portal = Portal(made.realm, [checker])
    return made


def challenge(answer: bytes) -> bytes:
    assert answer.startswith(b"+ ")
    assert answer.endswith(b"\r\n")
    return b64decode(answer[2:-2], validate=True)


def begun(client: Client, scram: ScramClient, inline: bool = True) -> bytes:
    """The exchange up to the client's proof; what the server says to that."""
    first = b64encode(scram.first())
    if inline:
        answer = client.says(b"a AUTHENTICATE SCRAM-SHA-256 " + first)
    else:
        assert client.says(b"a AUTHENTICATE scram-sha-256") == b"+ \r\n"
        answer = client.says(first)
    return client.says(b64encode(scram.final(challenge(answer))))


@pytest.mark.parametrize("inline", [True, False])
def test_the_last_message_of_the_server_comes_before_the_tagged_answer(server: Server, inline: bool) -> None:
    client, scram = server.connect(), ScramClient("SCRAM-SHA-256", "joe", "secret")
    assert b" AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=CRAM-MD5 AUTH=PLAIN AUTH=LOGIN]" in client.greeting
    assert scram.trusts(challenge(begun(client, scram, inline)))
    assert client.says(b"").startswith(b"a OK [CAPABILITY ")
    assert b"b OK" in client.says(b"b SELECT INBOX")
    client.leaves()
    assert server.realm.inside == 0


def test_a_wrong_password(server: Server) -> None:
    client, scram = server.connect(), ScramClient("SCRAM-SHA-256", "joe", "wrong")
    assert begun(client, scram) == b"", "it is answered late"
    server.clock.advance(1)
    assert client.heard().startswith(b"a NO [AUTHENTICATIONFAILED] ")
    assert client.says(b"b SELECT INBOX").startswith(b"b BAD ")


def test_given_up_behind_the_proof(server: Server) -> None:
    client, scram = server.connect(), ScramClient("SCRAM-SHA-256", "joe", "secret")
    begun(client, scram)
    assert client.says(b"*").startswith(b"a BAD AUTHENTICATE cancelled")
    assert server.realm.inside == 0
    assert client.says(b"b SELECT INBOX").startswith(b"b BAD ")


def test_lost_behind_the_proof(server: Server) -> None:
    client, scram = server.connect(), ScramClient("SCRAM-SHA-256", "joe", "secret")
    begun(client, scram)
    assert server.realm.inside == 1
    client.leaves()
    assert server.realm.inside == 0
    assert not server.clock.getDelayedCalls()


def test_without_tls_there_is_no_channel_to_bind_to(server: Server) -> None:
    client = server.connect()
    assert b"-PLUS" not in client.greeting
    assert client.says(b"a AUTHENTICATE SCRAM-SHA-256-PLUS").startswith(b"a NO ")
    bound = ScramClient("SCRAM-SHA-256", "joe", "secret", binding=b"x" * 32)
    assert client.says(b"b AUTHENTICATE SCRAM-SHA-256 " + b64encode(bound.first())).startswith(b"b BAD ")
    assert client.says(b"c AUTHENTICATE SCRAM-SHA-256 =").startswith(b"c BAD ")
