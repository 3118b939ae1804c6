"""RFC: 4978 §3, 5530 §3, 8437 §3; 9051 §6.1, §6.2, §7.1"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.imap.settings import ImapSettings
from tests.protocols.imap.harness import Client, Server, dialogue


def refusing(kind: ErrorKind, *methods: str) -> Client:
    """A client of an account that cannot do these things."""
    server = Server()
    client = server.logged_in()
    account = server.store.account("joe")

    def refuse(*_: Any, **__: Any) -> Any:
        raise MailError(kind, "Not now")

    for method in methods:
        setattr(account, method, refuse)
    return client


@pytest.mark.parametrize(
    ("kind", "command", "method", "code"),
    [
        (ErrorKind.UNAVAILABLE, "SELECT INBOX", "open", "UNAVAILABLE"),
        (ErrorKind.CORRUPT, "SELECT INBOX", "open", "CORRUPTION"),
        (ErrorKind.NO_PERMISSION, "SELECT INBOX", "open", "NOPERM"),
        (ErrorKind.IN_USE, "DELETE kept", "delete", "INUSE"),
        (ErrorKind.LIMIT, "CREATE more", "create", "LIMIT"),
        (ErrorKind.OVER_QUOTA, "RENAME INBOX old", "rename", "OVERQUOTA"),
        (ErrorKind.CORRUPT, "STATUS INBOX (MESSAGES)", "status", "CORRUPTION"),
    ],
)
def test_a_refusal_says_why(kind: ErrorKind, command: str, method: str, code: str) -> None:
    """RFC 5530 §3: the session goes on after each."""
    client = refusing(kind, method)
    assert client.says(b"a " + command.encode()) == f"a NO [{code}] Not now\r\n".encode()
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_what_is_wrong_with_names() -> None:
    """RFC 5530 §3: ALREADYEXISTS, NONEXISTENT, CANNOT; 9051 §7.1: HASCHILDREN."""
    dialogue(
        Server(),
        """
        C: a LOGIN joe secret
        S: a OK ...
        C: b CREATE "///////"
        S: b NO [CANNOT] ...
        C: c CREATE this
        S: c OK ...
        C: d CREATE that/below
        S: d OK ...
        C: e RENAME this that
        S: e NO [ALREADYEXISTS] ...
        C: f RENAME nothing other
        S: f NO [NONEXISTENT] ...
        C: g DELETE that
        S: g OK ...
        C: h DELETE that
        S: h NO [HASCHILDREN] ...
        C: i SELECT that
        S: i NO [NONEXISTENT] ...
        """,
    )


def test_a_bug_has_a_number_and_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5530 §3: SERVERBUG."""
    server = Server()
    client = server.logged_in()
    monkeypatch.setattr(server.store.account("joe"), "open", lambda name: 1 / 0)
    answer = client.says(b"a SELECT INBOX")
    assert answer.startswith(b"a NO [SERVERBUG] ")
    assert b"division" not in answer
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_who_that_is_and_as_whom() -> None:
    """RFC 5530 §3: AUTHENTICATIONFAILED, AUTHORIZATIONFAILED; the right answer afterwards."""
    server = Server()
    client = server.connect()

    def plain(octets: bytes) -> bytes:
        client.sends(b"a AUTHENTICATE PLAIN\r\n")
        assert client.heard() == b"+ \r\n"
        client.sends(b64encode(octets) + b"\r\n")
        server.clock.pump([1] * 20)
        return client.heard()

    assert plain(b"\0joe\0wrong").startswith(b"a NO [AUTHENTICATIONFAILED] ")
    assert plain(b"ann\0joe\0secret").startswith(b"a NO [AUTHORIZATIONFAILED] ")
    assert server.realm.inside == 0
    assert plain(b"joe\0joe\0secret").startswith(b"a OK [CAPABILITY ")


def test_a_password_needs_a_connection_that_hides_it() -> None:
    """RFC 5530 §3: PRIVACYREQUIRED; 9051 §6.2.1: STARTTLS comes first, and then other capabilities are told."""
    server = Server(tls=object())
    client = server.connect("192.0.2.7")
    assert b" LOGINDISABLED" in client.says(b"a CAPABILITY")
    assert client.says(b"b LOGIN joe secret").startswith(b"b NO [PRIVACYREQUIRED] ")
    assert client.says(b"c AUTHENTICATE PLAIN").startswith(b"c NO [PRIVACYREQUIRED] ")
    assert client.says(b"d STARTTLS").startswith(b"d OK ")
    capabilities = client.says(b"e CAPABILITY")
    assert b" AUTH=PLAIN" in capabilities
    assert b"LOGINDISABLED" not in capabilities
    assert b"STARTTLS" not in capabilities
    assert client.says(b"f AUTHENTICATE PLAIN " + b64encode(b"\0joe\0secret")).startswith(b"f OK ")


def test_compression_comes_once_and_after_login() -> None:
    """RFC 4978 §3: first example. TLS does not compress, so that COMPRESSIONACTIVE has no place."""
    server = Server(tls=object())
    dialogue(
        server,
        """
        C: a STARTTLS
        S: a OK ...
        C: b LOGIN joe secret
        S: b OK [CAPABILITY ...COMPRESS=DEFLATE...] ...
        C: c COMPRESS DEFLATE
        S: c OK DEFLATE active
        """,
    )


def test_a_gateway_serves_one_user_after_another() -> None:
    """RFC 8437 §1, §3: a message for each, over one connection."""
    server = Server(ImapSettings())
    dialogue(
        server,
        """
        C: a LOGIN joe secret
        S: a OK ...
        C: b APPEND INBOX {13+}
        C: A: 1
        C:
        C: one
        C:
        S: b OK ...
        C: c UNAUTHENTICATE
        S: c OK ...
        C: d APPEND INBOX {13+}
        S: d BAD ...
        C: A: 2
        C:
        C: two
        C:
        C: e LOGIN ann secret
        S: e OK ...
        C: f APPEND INBOX {13+}
        C: A: 2
        C:
        C: two
        C:
        S: f OK ...
        C: g LOGOUT
        S: * BYE ...
        S: g OK ...
        """,
    )
    assert [server.store.account(user).status("INBOX").messages for user in ("joe", "ann")] == [1, 1]
