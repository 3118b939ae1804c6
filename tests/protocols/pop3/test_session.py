from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.mail import pop3

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.pop3.connection import MailpostPOP3
from mailpost.protocols.pop3.settings import Pop3Settings
from tests.protocols.imap.harness import MESSAGE
from tests.protocols.pop3.harness import Client, Server, dialogue

ONE = b"Subject: one\r\n\r\nfirst\r\n"
TWO = b"Subject: two\r\n\r\n.second\r\n..\r\n.\r\nlast"


def test_a_whole_session() -> None:
    server = Server()
    server.holds(ONE, TWO)
    dialogue(
        server,
        """
        S: +OK localhost mailpost ready
        C: USER joe
        S: +OK ...
        C: pass secret
        S: +OK 2 messages
        C: STAT
        S: +OK 2 59
        C: LIST
        S: +OK 2 messages (59 octets)
        S: 1 23
        S: 2 36
        S: .
        C: LIST 2
        S: +OK 2 36
        C: UIDL
        S: +OK
        S: 1 000000013b9aca00
        S: 2 000000023b9aca00
        S: .
        C: UIDL 1
        S: +OK 1 000000013b9aca00
        C: RETR 2
        S: +OK 36 octets
        S: Subject: two
        S:
        S: ..second
        S: ...
        S: ..
        S: last
        S: .
        C: TOP 2 1
        S: +OK ...
        S: Subject: two
        S:
        S: ..second
        S: .
        C: DELE 1
        S: +OK ...
        C: STAT
        S: +OK 1 36
        C: LIST
        S: +OK 1 messages (36 octets)
        S: 2 36
        S: .
        C: UIDL
        S: +OK
        S: 2 000000023b9aca00
        S: .
        C: RETR 1
        S: -ERR Message 1 is deleted
        C: DELE 1
        S: -ERR Message 1 is deleted
        C: LIST 1
        S: -ERR Message 1 is deleted
        C: UIDL 1
        S: -ERR Message 1 is deleted
        C: NOOP
        S: +OK
        C: QUIT
        S: +OK Bye, 1 deleted
        """,
        client=Client(server, "127.0.0.1"),
    )
    assert server.left() == [2]
    server.clock.advance(1)
    assert server.realm.inside == 0


def test_octets_as_they_are_sent() -> None:
    server = Server()
    server.holds(ONE, TWO)
    client = server.logged_in()
    assert client.says(b"RETR 1") == b"+OK 23 octets\r\n" + ONE + b".\r\n"
    assert client.says(b"RETR 2") == (b"+OK 36 octets\r\nSubject: two\r\n\r\n..second\r\n...\r\n..\r\nlast\r\n.\r\n")
    assert client.says(b"TOP 1 0") == b"+OK The top of message 1\r\nSubject: one\r\n\r\n.\r\n"


def test_rset_takes_the_marks_off() -> None:
    server = Server()
    server.holds(ONE, TWO)
    client = server.logged_in()
    client.says(b"DELE 1")
    assert client.says(b"RSET") == b"+OK 2 messages\r\n"
    assert client.says(b"STAT") == b"+OK 2 59\r\n"
    assert client.says(b"QUIT") == b"+OK Bye\r\n"
    assert server.left() == [1, 2]


def test_a_lost_connection_deletes_nothing() -> None:
    server = Server()
    server.holds(ONE, TWO)
    client = server.logged_in()
    client.says(b"DELE 1")
    client.leaves()
    assert server.left() == [1, 2]
    assert server.realm.inside == 0
    assert server.logged_in().says(b"STAT") == b"+OK 2 59\r\n"


def test_what_was_retrieved_is_seen_afterwards() -> None:
    server = Server()
    server.holds(ONE, ONE, ONE)
    client = server.logged_in()
    client.says(b"RETR 1")
    client.says(b"TOP 2 5")
    client.leaves()
    client = server.logged_in()
    client.says(b"RETR 3")
    client.says(b"DELE 3")
    client.says(b"QUIT")
    flags = server.store.account("joe").open("INBOX").live.flags
    assert [sorted(each) for each in flags] == [["\\Seen"], []]


def test_the_view_is_that_of_the_login() -> None:
    server = Server()
    server.deliver(3)
    client = server.logged_in()
    server.deliver(1)
    imap = server.imap.logged_in()
    imap.says(b"a SELECT INBOX")
    imap.says(b"b STORE 2 +FLAGS.SILENT (\\Deleted)")
    imap.says(b"c EXPUNGE")
    size = len(MESSAGE % (1, 1))
    assert client.says(b"STAT") == b"+OK 3 %d\r\n" % (3 * size)
    assert client.says(b"RETR 2") == b"-ERR Message 2 has been expunged by another session\r\n"
    assert client.says(b"TOP 2 1") == b"-ERR Message 2 has been expunged by another session\r\n"
    assert b"Number 3" in client.says(b"RETR 3")
    assert client.says(b"RETR 4") == b"-ERR There is no message 4\r\n"
    client.says(b"DELE 2")
    client.says(b"DELE 3")
    assert client.says(b"QUIT") == b"+OK Bye, 1 deleted\r\n"
    assert server.left() == [1, 4]


def test_what_is_expunged_after_it_was_read_ahead_is_not_sent() -> None:
    server = Server()
    server.deliver(5)
    client = server.logged_in()
    fetched: list[list[int]] = []
    mailbox = client.protocol.session.maildrop._mailbox
    fetch = mailbox.fetch
    mailbox.fetch = lambda uids, attributes: (fetched.append(list(uids)), fetch(uids, attributes))[1]
    assert b"Number 1" in client.says(b"RETR 1")
    assert b"Number 2" in client.says(b"RETR 2")
    assert fetched == [[1, 2, 3, 4, 5]]
    mailbox.remove([3])
    assert client.says(b"RETR 3") == b"-ERR Message 3 has been expunged by another session\r\n"
    assert b"Number 5" in client.says(b"RETR 5")
    assert b"Number 4" in client.says(b"RETR 4")
    assert fetched == [[1, 2, 3, 4, 5], [3, 4, 5]]


def test_one_that_cannot_be_read_does_not_stand_in_the_way_of_others() -> None:
    server = Server()
    server.deliver(3)
    client = server.logged_in()
    mailbox = client.protocol.session.maildrop._mailbox
    fetch = mailbox.fetch

    async def broken(uids: Any, attributes: Any) -> Any:
        async for batch in fetch([uid for uid in uids if uid != 2], attributes):
            yield batch
        if 2 in uids:
            raise MailError(ErrorKind.NO_PERMISSION, "It cannot be read")

    mailbox.fetch = broken
    assert b"Number 1" in client.says(b"RETR 1")
    assert client.says(b"RETR 2") == b"-ERR [SYS/PERM] It cannot be read\r\n"
    assert b"Number 3" in client.says(b"RETR 3")


def test_an_imap_session_hears_of_what_pop3_deletes() -> None:
    server = Server()
    server.deliver(3)
    imap = server.imap.selected()
    client = server.logged_in()
    client.says(b"DELE 2")
    assert imap.says(b"n NOOP") == b"n OK NOOP completed\r\n"
    client.says(b"QUIT")
    assert b"* 2 EXPUNGE\r\n" in imap.says(b"n NOOP")


def test_one_session_has_the_mailbox() -> None:
    server = Server()
    first = server.logged_in()
    second = server.connect()
    second.says(b"USER joe")
    assert second.says(b"PASS secret").startswith(b"-ERR [IN-USE] ")
    assert server.realm.inside == 1
    assert second.says(b"STAT") == b"-ERR This is possible after login only\r\n"
    first.says(b"QUIT")
    second.says(b"USER joe")
    assert second.says(b"PASS secret") == b"+OK 0 messages\r\n"


def test_a_mailbox_that_is_no_longer_the_same_loses_nothing() -> None:
    server = Server()
    server.holds(ONE)
    client = server.logged_in()
    client.says(b"DELE 1")
    server.store.account("joe").open("INBOX").live.gone = True
    assert client.says(b"QUIT") == b"-ERR [SYS/TEMP] The mailbox is not what it was at login\r\n"
    assert server.left() == [1]
    assert client.transport.disconnecting


# -- capabilities, logging in


def capabilities(client: Any) -> set[bytes]:
    answer = client.says(b"CAPA")
    assert answer.startswith(b"+OK")
    assert answer.endswith(b"\r\n.\r\n")
    return set(answer.split(b"\r\n")[1:-2])


ALWAYS = {
    b"TOP",
    b"UIDL",
    b"RESP-CODES",
    b"AUTH-RESP-CODE",
    b"PIPELINING",
    b"EXPIRE NEVER",
    b"UTF8 USER",
    b"LANG",
    b"IMPLEMENTATION mailpost",
}
"""RFC: 1939, 2449, 3206, 6856"""


def test_capabilities_change_with_tls_and_login() -> None:
    """RFC: 2449 §5, 2595 §4, 5034 §3"""
    server = Server(tls=object())
    client = server.connect("192.0.2.1")
    assert capabilities(client) == ALWAYS | {b"STLS"}
    assert client.says(b"STLS").startswith(b"+OK")
    assert capabilities(client) == ALWAYS | {b"USER", b"SASL PLAIN LOGIN"}
    assert capabilities(server.connect()) == ALWAYS | {b"STLS", b"USER", b"SASL PLAIN LOGIN"}
    assert capabilities(server.logged_in()) == ALWAYS | {b"USER", b"SASL PLAIN LOGIN"}


def test_passwords_need_tls() -> None:
    server = Server(tls=object())
    client = server.connect("192.0.2.1")
    assert client.says(b"USER joe") == b"-ERR Passwords are taken over TLS only\r\n"
    assert client.says(b"PASS secret").startswith(b"-ERR")
    assert client.says(b"AUTH PLAIN " + PLAIN).startswith(b"-ERR")
    assert server.checker.asked == 0
    client.says(b"STLS")
    assert client.says(b"AUTH PLAIN " + PLAIN) == b"+OK 0 messages\r\n"


PLAIN = b64encode(b"\0joe\0secret")


def test_auth_plain_asks_where_nothing_came_with_it() -> None:
    """RFC: 5034 §4"""
    client = Server().connect()
    assert client.says(b"AUTH PLAIN") == b"+ \r\n"
    assert client.says(PLAIN) == b"+OK 0 messages\r\n"


def test_auth_login() -> None:
    client = Server().connect()
    assert client.says(b"auth login") == b"+ VXNlcm5hbWU6\r\n"
    assert client.says(b64encode(b"joe")) == b"+ UGFzc3dvcmQ6\r\n"
    assert client.says(b64encode(b"secret")) == b"+OK 0 messages\r\n"


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ([b"AUTH PLAIN", b"*"], b"-ERR Authentication cancelled\r\n"),
        ([b"AUTH PLAIN", b"%%%"], b"-ERR This is not base64\r\n"),
        ([b"AUTH PLAIN", b"x" * 20_000], b"-ERR This response is too long\r\n"),
        ([b"AUTH PLAIN ="], b"-ERR The PLAIN message cannot be read\r\n"),
        ([b"AUTH PLAIN AAAA BBBB"], b"-ERR AUTH has too few or too many arguments\r\n"),
        ([b"AUTH NTLM"], b"-ERR There is no such mechanism\r\n"),
        ([b"AUTH \xc3\xa9"], b"-ERR AUTH takes ASCII only\r\n"),
    ],
)
def test_an_exchange_that_fails_leaves_the_session_as_it_was(lines: list[bytes], answer: bytes) -> None:
    client = Server().connect()
    for line in lines:
        heard = client.says(line)
    assert heard == answer
    assert client.says(b"AUTH PLAIN " + PLAIN) == b"+OK 0 messages\r\n"


def test_auth_alone_lists_mechanisms() -> None:
    assert Server().connect().says(b"AUTH") == b"+OK Mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n"


def test_a_long_response_is_taken() -> None:
    """RFC: 5034 §4"""
    client = Server().connect()
    client.says(b"AUTH PLAIN")
    assert client.says(b64encode(b"\0joe\0" + b"x" * 1000)) == b""  # it is tested, and answered late


def test_a_wrong_password_is_answered_late_and_with_its_code() -> None:
    """RFC: 3206 §5"""
    server = Server()
    client = server.connect()
    client.says(b"USER joe")
    assert client.says(b"PASS wrong") == b""
    server.clock.advance(1)
    assert client.heard() == b"-ERR [AUTH] Authentication failed\r\n"
    assert client.says(b"PASS secret") == b"-ERR USER comes before PASS\r\n"


def test_passwords_have_spaces_and_names_are_utf8() -> None:
    """RFC: 1939 §7, 6856 §2.2"""
    server = Server()
    client = server.connect()
    for line in (b"USER j\xff", b"USER \xc3\xa9", b"PASS \xff"):
        heard = client.says(line)
        assert heard == (
            b"+OK Now the password\r\n" if line.endswith(b"\xa9") else b"-ERR Names and passwords are UTF-8\r\n"
        )
    assert server.checker.asked == 0


def test_too_many_failed_logins_end_the_connection() -> None:
    server = Server(Pop3Settings(failed_logins=3))
    client = server.connect()
    for _ in range(3):
        client.sends(b"USER joe\r\nPASS wrong\r\n")
        server.clock.pump([1] * 20)
    assert client.transport.disconnecting
    assert client.heard().count(b"-ERR [AUTH]") == 3


def test_utf8_and_lang() -> None:
    """RFC: 6856 §2.1, §3.2"""
    client = Server().connect()
    assert client.says(b"UTF8").startswith(b"+OK")
    assert client.says(b"LANG") == b"+OK Languages follow\r\nen English\r\n.\r\n"
    assert client.says(b"LANG en") == b"+OK en English it is\r\n"
    assert client.says(b"LANG *") == b"+OK en English it is\r\n"
    assert client.says(b"LANG en-GB") == b"+OK en English it is\r\n"
    assert client.says(b"LANG MUL") == b"-ERR This language is not spoken here\r\n"
    client.says(b"AUTH PLAIN " + PLAIN)
    assert client.says(b"LANG *") == b"+OK en English it is\r\n"
    assert client.says(b"UTF8") == b"-ERR This is possible before login only\r\n"


def test_no_apop() -> None:
    client = Server().connect()
    assert b"<" not in client.greeting
    assert client.says(b"APOP joe c4c9334bac560ecc979e58001b3e22fb") == b"-ERR There is no such command\r\n"


# -- limits


def test_an_idle_client_is_left_without_a_word() -> None:
    """RFC: 1939 §3"""
    server = Server()
    server.holds(ONE)
    client = server.logged_in()
    client.says(b"DELE 1")
    server.clock.advance(599)
    assert client.says(b"NOOP") == b"+OK\r\n"
    server.clock.advance(599)
    assert not client.transport.disconnecting
    server.clock.advance(1)
    assert client.transport.disconnecting
    assert client.heard() == b""
    server.clock.advance(1)
    assert server.left() == [1]
    assert server.realm.inside == 0


def test_a_client_that_does_not_log_in_has_less_time() -> None:
    server = Server(Pop3Settings(login_timeout=60))
    client = server.connect()
    server.clock.advance(60)
    assert client.transport.disconnecting


def test_bad_commands_end_the_connection() -> None:
    client = Server(Pop3Settings(bad_commands=3)).connect()
    for _ in range(2):
        assert client.says(b"FOO") == b"-ERR There is no such command\r\n"
    client.says(b"CAPA")
    for _ in range(3):
        client.says(b"FOO")
    assert client.transport.disconnecting


def test_a_long_line_is_refused_and_the_next_one_taken() -> None:
    """RFC: 2449 §4"""
    client = Server().connect()
    assert client.says(b"USER " + b"x" * 250) == b"+OK Now the password\r\n"
    assert client.says(b"USER " + b"x" * 5000) == b"-ERR This line is too long\r\n"
    assert client.says(b"CAPA").startswith(b"+OK")


def test_too_many_connections_from_one_address() -> None:
    server = Server(Pop3Settings(connections_per_address=2))
    held = [server.connect() for _ in range(2)]
    third = server.connect()
    assert third.greeting == b"-ERR [SYS/TEMP] Too many connections from your address\r\n"
    assert third.transport.disconnecting
    assert not any(each.transport.disconnecting for each in held)


def test_the_server_says_goodbye() -> None:
    server = Server()
    client, busy = server.connect(), server.connect()
    server.checker.slow = True
    busy.sends(b"USER joe\r\nPASS secret\r\n")
    busy.heard()
    closing = Deferred.fromCoroutine(server.factory.close())
    assert client.heard() == b"-ERR [SYS/TEMP] Server shutting down\r\n"
    assert client.transport.disconnecting
    server.checker.waiting[0]()
    assert busy.heard() == b"+OK 0 messages\r\n"
    assert busy.transport.disconnecting
    server.clock.advance(1)
    assert closing.called
    assert server.realm.inside == 0


def test_a_client_that_does_not_read_holds_the_output_up() -> None:
    server = Server()
    server.holds(b"Subject: large\r\n\r\n" + b"x" * 1_000_000)
    client = server.logged_in()
    write = client.transport.write

    def full(data: bytes) -> None:
        write(data)
        client.transport.producer.pauseProducing()

    client.transport.write = full
    first = client.says(b"RETR 1")
    assert len(first) < 200_000
    whole = first
    for _ in range(40):
        client.protocol._link.outflow.resumeProducing()
        whole += client.heard()
    assert len(whole) == len(b"+OK 1000018 octets\r\n") + 1_000_018 + len(b"\r\n.\r\n")


def test_a_large_mailbox_is_listed_in_a_few_writes() -> None:
    server = Server()
    server.deliver(20_000)
    client = server.logged_in()
    before = client.transport.writes
    listing, uidls = client.says(b"LIST"), client.says(b"UIDL")
    assert client.transport.writes - before < 20
    assert listing.count(b"\r\n") == uidls.count(b"\r\n") == 20_002
    assert len(set(uidls.split(b"\r\n")[1:-2])) == 20_000


# -- subclasses


class Extended(MailpostPOP3):
    def do_XONE(self, word: bytes) -> None:
        self.successResponse("you said " + word.decode())

    async def do_XTWO(self) -> None:
        self.sendLine(b"+OK two lines")
        self.sendLine(b".")

    def do_XBAD(self) -> None:
        raise pop3.POP3Error(b"not like that")

    def do_XBUG(self) -> None:
        raise KeyError("secret of the server")


def test_a_subclass_adds_commands() -> None:
    events: list[Any] = []
    server = Server()
    server.factory.protocol = Extended
    client = server.connect()
    assert client.says(b"XONE x").startswith(b"-ERR")
    client = server.logged_in()
    assert client.says(b"XONE x") == b"+OK you said x\r\n"
    assert client.says(b"XONE") == b"-ERR XONE has too few or too many arguments\r\n"
    assert client.says(b"XTWO") == b"+OK two lines\r\n.\r\n"
    assert client.says(b"XBAD") == b"-ERR not like that\r\n"
    globalLogPublisher.addObserver(events.append)
    try:
        answer = client.says(b"XBUG")
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert answer.startswith(b"-ERR [SYS/TEMP] Internal error ")
    assert b"secret" not in answer
    assert any("log_failure" in event for event in events)
    assert client.says(b"NOOP") == b"+OK\r\n"
