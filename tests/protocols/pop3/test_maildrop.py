from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.pop3.maildrop import unique_uidls
from mailpost.wire.pop3.responses import default_uidl, is_uidl
from tests.protocols.pop3.harness import Server

VALIDITY = 1_000_000_000
UIDS = st.sets(st.integers(1, 50), min_size=1).map(sorted)
THEIRS = st.sampled_from(["a", "b", "c", "é", "", "x y", "z" * 70, "z" * 71]) | st.integers(1, 50).map(
    lambda uid: default_uidl(uid, VALIDITY).decode()
)


@given(UIDS, st.dictionaries(st.integers(1, 50), THEIRS))
def test_uidls_are_unique_and_sound(uids: list[int], theirs: dict[int, str]) -> None:
    """RFC: 1939 §7"""
    uidls = unique_uidls(uids, VALIDITY, theirs)
    assert len(set(uidls)) == len(uids) == len(uidls)
    assert all(is_uidl(uidl.decode("ascii")) for uidl in uidls)
    for uid, uidl in zip(uids, uidls, strict=True):
        assert uidl in (default_uidl(uid, VALIDITY), theirs.get(uid, "").encode())


def test_another_servers_uidls_are_kept_where_they_are_good() -> None:
    own = [default_uidl(uid, 7) for uid in range(1, 6)]
    theirs = {1: "one", 2: "one", 3: "no good", 4: own[0].decode(), 9: "gone"}
    assert unique_uidls([1, 2, 3, 4, 5], 7, theirs) == [b"one", *own[1:]]


def test_uidls_of_another_server_in_a_session() -> None:
    server = Server()
    server.deliver(2)
    client = server.logged_in()
    maildrop: Any = client.protocol.session.maildrop
    maildrop._held.uidls = {2: "their-own"}
    assert client.says(b"UIDL 2") == b"+OK 2 their-own\r\n"
    assert client.says(b"UIDL") == b"+OK\r\n1 000000013b9aca00\r\n2 their-own\r\n.\r\n"


def test_a_loop_that_breaks_ends_the_connection() -> None:
    server = Server()
    client = server.logged_in()
    session: Any = client.protocol.session
    session.broken(Failure(ValueError("a bug")))
    assert client.heard().startswith(b"-ERR [SYS/TEMP] Internal error")
    assert client.transport.disconnecting
    client.leaves()
    assert server.realm.inside == 0


def test_marks_of_what_was_seen_that_fail_cost_no_mail() -> None:
    server = Server()
    server.deliver(2)
    client = server.logged_in()
    maildrop: Any = client.protocol.session.maildrop
    client.says(b"RETR 1")
    client.says(b"DELE 2")

    def fails(*_: Any) -> None:
        raise MailError(ErrorKind.DISK_FULL, "The disk is full")

    maildrop._mailbox.store = fails
    assert client.says(b"QUIT") == b"+OK Bye, 1 deleted\r\n"
    assert server.left() == [1]
