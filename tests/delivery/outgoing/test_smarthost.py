"""The client of the smarthost. RFC: 5321, 3207, 4954, 2920, 3461, 6531"""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scramp import ScramException, ScramMechanism
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailpost.delivery.outgoing.authentication import Credentials
from mailpost.delivery.outgoing.dialogue import TroubleError
from mailpost.delivery.outgoing.files import MessageFile
from mailpost.delivery.outgoing.records import Envelope, Outcome, Queued, Verdict
from mailpost.delivery.outgoing.smarthost import Security, Smarthost
from mailpost.mail.transport import ForwardPath, Notify, Returned, ReversePath
from tests.delivery.outgoing.smarthost import DROP, SILENCE, FakeEndpoint, Script, at_once

BOB = (ForwardPath("bob@example.net"),)
SENDER = ReversePath("ann@example.org")
MESSAGE = b"Subject: hello\r\n\r\n.\r\n..\r\n.dot\r\nCRLF.CRLF:\r\n.\r\nQUIT\r\n"


class Client:
    """A smarthost as the queue uses it."""

    def __init__(self, folder: Path, script: Script, **more: Any) -> None:
        self.clock = Clock()
        self.folder = folder
        self.script = script
        facts: dict[str, Any] = {"security": Security.NONE, "local": True, **more}
        refuses = facts.pop("refuses", False)
        self.smarthost = Smarthost(
            clock=self.clock,
            endpoint=FakeEndpoint(script, self.clock, refuses),
            name="smtp.example",
            hostname="mail.example.org",
            tls=object(),
            run=at_once,
            **facts,
        )

    def answer(self, work: Any, seconds: float = 0.0) -> Any:
        """The value of something awaited, time passing."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(outcome.append)
        for _ in range(2000):
            if outcome:
                break
            self.clock.advance(seconds)
        assert outcome, "no answer comes"
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        return outcome[0]

    def send(
        self,
        octets: bytes = MESSAGE,
        recipients: tuple[ForwardPath, ...] = BOB,
        sender: ReversePath = SENDER,
        connection: Any = None,
        seconds: float = 0.0,
    ) -> list[Outcome]:
        """What comes of a message."""
        path = self.folder / "message"
        path.write_bytes(octets)
        header = octets.partition(b"\r\n\r\n")[0]
        envelope = Envelope(
            "m",
            "ann",
            0.0,
            sender,
            len(octets),
            not octets.isascii(),
            not header.isascii(),
            tuple(map(Queued, recipients)),
        )
        connection = connection or self.answer(self.smarthost.connect())
        message = MessageFile(path)
        try:
            return self.answer(connection.send(envelope, recipients, message), seconds)  # type: ignore[no-any-return]
        finally:
            message.close()


def trouble(client: Client, seconds: float = 0.0) -> str:
    with pytest.raises(TroubleError) as caught:
        client.answer(client.smarthost.connect(), seconds)
    assert caught.value.outcome.verdict is Verdict.LATER
    return caught.value.outcome.text


def verdicts(outcomes: list[Outcome]) -> list[tuple[Verdict, str]]:
    return [(each.verdict, each.status) for each in outcomes]


def test_a_message_arrives_as_it_is(tmp_path: Path) -> None:
    script = Script()
    (outcome,) = Client(tmp_path, script).send()
    assert outcome == Outcome(Verdict.SENT, "2.0.0", "250 2.0.0 taken", "smtp.example", told=True)
    (taken,) = script.taken
    assert (taken.sender, taken.recipients, taken.octets) == ("ann@example.org", ["bob@example.net"], MESSAGE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([b".", b"\r\n", b"\r\n.\r\n", b"a" * 65534, b"\xff", b"x", b"\r\n.", b"QUIT"]), max_size=12
    )
)
def test_any_message_arrives_as_it_is(tmp_path: Path, pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    octets += b"" if octets.endswith(b"\r\n") or not octets else b"\r\n"
    script = Script()
    assert verdicts(Client(tmp_path, script).send(octets)) == [(Verdict.SENT, "2.0.0")]
    assert script.taken[0].octets == octets


@pytest.mark.parametrize("offset", range(-4, 5))
def test_a_dot_where_the_reading_is_cut(tmp_path: Path, offset: int) -> None:
    octets = b"x" * (65536 + offset - 2) + b"\r\n.\r\n.forged\r\n"
    script = Script()
    Client(tmp_path, script).send(octets)
    assert [each.octets for each in script.taken] == [octets]


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_recipients_are_answered_one_by_one(tmp_path: Path, extensions: tuple[str, ...]) -> None:
    script = Script(extensions, {"RCPT TO:<no@": "550 5.1.1 nobody", "RCPT TO:<later@": "450 4.2.1 busy"})
    script.replies["RCPT TO:<many@"] = "552 too many"
    people = tuple(ForwardPath(f"{name}@example.net") for name in ("yes", "no", "later", "many"))
    outcomes = Client(tmp_path, script).send(recipients=people)
    assert verdicts(outcomes) == [
        (Verdict.SENT, "2.0.0"),
        (Verdict.REFUSED, "5.1.1"),
        (Verdict.LATER, "4.2.1"),
        (Verdict.LATER, "4.5.3"),
    ]
    assert script.taken[0].recipients == ["yes@example.net"]


def test_a_thousand_recipients_do_not_stop_it(tmp_path: Path) -> None:
    script = Script()
    people = tuple(ForwardPath(f"{number}@example.net") for number in range(1000))
    assert all(each.verdict is Verdict.SENT for each in Client(tmp_path, script).send(recipients=people))
    assert len(script.taken[0].recipients) == 1000


@pytest.mark.parametrize(
    ("replies", "wanted"),
    [
        ({"MAIL": "451 4.3.0 later"}, (Verdict.LATER, "4.3.0")),
        ({"MAIL": "550 5.7.1 not you"}, (Verdict.REFUSED, "5.7.1")),
        ({"RCPT": "550 no"}, (Verdict.REFUSED, "5.0.0")),
        ({"DATA": "451 4.3.2 later"}, (Verdict.LATER, "4.3.2")),
        ({"DATA": "554 5.6.0 no"}, (Verdict.REFUSED, "5.6.0")),
        ({"DATA": "250 what?"}, (Verdict.LATER, "4.5.0")),
        ({".": "452 4.3.1 full"}, (Verdict.LATER, "4.3.1")),
        ({".": "554 5.7.1 spam"}, (Verdict.REFUSED, "5.7.1")),
        ({".": DROP}, (Verdict.LATER, "4.4.2")),
        ({"MAIL": "421 4.3.2 going"}, (Verdict.LATER, "4.3.2")),
        ({"RCPT": "421 4.3.2 going"}, (Verdict.LATER, "4.3.2")),
        ({"MAIL": DROP}, (Verdict.LATER, "4.4.2")),
        ({"RCPT": "nonsense"}, (Verdict.LATER, "4.5.0")),
    ],
)
def test_what_is_refused_and_what_waits(tmp_path: Path, replies: dict[str, Any], wanted: tuple[Verdict, str]) -> None:
    assert verdicts(Client(tmp_path, Script(replies=replies)).send()) == [wanted]


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
def test_a_server_that_says_nothing_is_left(tmp_path: Path, command: str) -> None:
    (outcome,) = Client(tmp_path, Script((), {command: SILENCE})).send(seconds=30)
    assert (outcome.verdict, outcome.text) == (Verdict.LATER, "smtp.example does not answer")


def test_several_messages_on_one_connection(tmp_path: Path) -> None:
    script = Script(replies={"MAIL": ["250 ok", "550 5.7.1 no", "250 ok"]})
    client = Client(tmp_path, script)
    connection = client.answer(client.smarthost.connect())
    found = []
    for _ in range(3):
        assert client.answer(connection.ready())
        found += client.send(connection=connection)
    client.answer(connection.close(), 1)
    assert [each.verdict for each in found] == [Verdict.SENT, Verdict.REFUSED, Verdict.SENT]
    assert (script.connections, len(script.taken), script.commands[-1]) == (1, 2, "QUIT")


def test_a_server_that_hung_up_between_two_is_noticed(tmp_path: Path) -> None:
    client = Client(tmp_path, Script(replies={"RSET": "421 enough"}))
    connection = client.answer(client.smarthost.connect())
    client.send(connection=connection)
    assert not client.answer(connection.ready())


def test_a_reply_that_nobody_asked_for_ends_the_connection(tmp_path: Path) -> None:
    """Else each further reply would be taken for that to the command before."""
    script = Script(replies={".": ["250 2.0.0 taken\n250 2.0.0 taken"], "RCPT": ["250 ok", "550 5.1.1 nobody"]})
    client = Client(tmp_path, script)
    connection = client.answer(client.smarthost.connect())
    assert verdicts(client.send(connection=connection)) == [(Verdict.SENT, "2.0.0")]
    client.clock.advance(1)
    assert not client.answer(connection.ready())
    assert len(script.taken) == 1


# -- what the server cannot do


def test_a_message_that_is_too_large_is_not_begun(tmp_path: Path) -> None:
    script = Script(("SIZE 10",))
    (outcome,) = Client(tmp_path, script).send()
    assert (outcome.verdict, outcome.status) == (Verdict.REFUSED, "5.3.4")
    assert not any(each.startswith("MAIL") for each in script.commands)


def test_eight_bit_text_goes_to_who_takes_it(tmp_path: Path) -> None:
    octets = b"Subject: x\r\n\r\n\xc3\xa4\r\n"
    assert verdicts(Client(tmp_path, Script(("SIZE",))).send(octets)) == [(Verdict.REFUSED, "5.6.3")]
    script = Script(("8BITMIME",))
    assert verdicts(Client(tmp_path, script).send(octets)) == [(Verdict.SENT, "2.0.0")]
    assert (script.taken[0].octets, script.taken[0].sender_parameters) == (octets, "BODY=8BITMIME")


def test_addresses_that_are_not_ascii(tmp_path: Path) -> None:
    people = (ForwardPath("jörg@grün.example"), ForwardPath("bob@example.net"))
    sender = ReversePath("ann@example.org", smtputf8=True)
    script = Script(("8BITMIME",))
    assert verdicts(Client(tmp_path, script).send(recipients=people, sender=sender)) == [
        (Verdict.REFUSED, "5.6.7"),
        (Verdict.SENT, "2.0.0"),
    ]
    assert "SMTPUTF8" not in script.taken[0].sender_parameters
    script = Script(("8BITMIME", "SMTPUTF8"))
    Client(tmp_path, script).send(recipients=people, sender=sender)
    assert script.taken[0].recipients == ["jörg@grün.example", "bob@example.net"]
    assert "SMTPUTF8" in script.taken[0].sender_parameters


def test_a_header_that_is_not_ascii_and_said_so(tmp_path: Path) -> None:
    octets = b"Subject: \xc3\xa4\r\n\r\n"
    sender = ReversePath("ann@example.org", smtputf8=True)
    client = Client(tmp_path, Script(("8BITMIME",)))
    assert verdicts(client.send(octets, sender=sender)) == [(Verdict.REFUSED, "5.6.7")]
    assert verdicts(client.send(octets)) == [(Verdict.SENT, "2.0.0")]


def test_what_the_sender_wants_to_be_told_goes_along(tmp_path: Path) -> None:
    people = (ForwardPath("bob@example.net", frozenset({Notify.SUCCESS}), "rfc822;b+b@example.net"),)
    sender = ReversePath("ann@example.org", returned=Returned.HEADERS, envelope_id="e 1")
    script = Script()
    (outcome,) = Client(tmp_path, script).send(recipients=people, sender=sender)
    assert outcome.told
    assert script.taken[0].sender_parameters == f"SIZE={len(MESSAGE)} BODY=7BIT RET=HDRS ENVID=e+201"
    assert script.taken[0].recipient_parameters == ["NOTIFY=SUCCESS ORCPT=rfc822;b+2Bb@example.net"]
    script = Script(())
    (outcome,) = Client(tmp_path, script).send(recipients=people, sender=sender)
    assert not outcome.told
    assert script.taken[0].recipient_parameters == [""]


# -- connecting


def test_who_cannot_be_reached(tmp_path: Path) -> None:
    assert "cannot connect to smtp.example" in trouble(Client(tmp_path, Script(), refuses=True))


@pytest.mark.parametrize("greeting", ["421 busy", "554 go away", DROP, "nonsense"])
def test_a_greeting_that_is_none(tmp_path: Path, greeting: str) -> None:
    assert trouble(Client(tmp_path, Script(replies={"": greeting})))


def test_a_greeting_that_does_not_come(tmp_path: Path) -> None:
    assert trouble(Client(tmp_path, Script(replies={"": SILENCE})), 30) == "smtp.example does not answer"


def test_a_server_of_old(tmp_path: Path) -> None:
    script = Script(replies={"EHLO": "502 what?"})
    assert verdicts(Client(tmp_path, script).send()) == [(Verdict.SENT, "2.0.0")]
    assert script.commands[:3] == ["EHLO mail.example.org", "HELO mail.example.org", "MAIL FROM:<ann@example.org>"]


def test_starttls_comes_before_all_else(tmp_path: Path) -> None:
    script = Script(("STARTTLS", "AUTH PLAIN"), login=("u", "p"))
    client = Client(
        tmp_path, script, security=Security.STARTTLS, local=False, credentials=lambda: Credentials("u", "p")
    )
    client.answer(client.smarthost.connect())
    hello = "EHLO mail.example.org"
    assert script.commands == [hello, "STARTTLS", "(TLS)", hello, "AUTH PLAIN AHUAcA=="]


def test_without_starttls_nothing_is_sent(tmp_path: Path) -> None:
    script = Script(("AUTH PLAIN",))
    client = Client(tmp_path, script, security=Security.STARTTLS, credentials=lambda: Credentials("u", "p"))
    assert trouble(client) == "smtp.example offers no STARTTLS"
    assert script.commands == ["EHLO mail.example.org"]


def test_a_refused_starttls_is_no_reason_to_go_on(tmp_path: Path) -> None:
    script = Script(("STARTTLS",), {"STARTTLS": "454 4.7.0 not now"})
    assert "454" in trouble(Client(tmp_path, script, security=Security.STARTTLS))


def test_what_came_before_tls_is_not_believed(tmp_path: Path) -> None:
    """Somebody in between has put a reply behind the answer to STARTTLS, to be read as one that came encrypted."""
    script = Script(("STARTTLS",), {"STARTTLS": "220 go on\n250-fake\n250 AUTH PLAIN"})
    assert "behind its answer to STARTTLS" in trouble(Client(tmp_path, script, security=Security.STARTTLS))
    assert "(TLS)" not in script.commands


def test_opportunism(tmp_path: Path) -> None:
    script = Script(("8BITMIME",))
    assert verdicts(Client(tmp_path, script, security=Security.OPPORTUNISTIC).send()) == [(Verdict.SENT, "2.0.0")]
    script = Script(("STARTTLS",))
    Client(tmp_path, script, security=Security.OPPORTUNISTIC).send()
    assert "(TLS)" in script.commands


def test_no_password_without_tls(tmp_path: Path) -> None:
    script = Script(("AUTH PLAIN LOGIN",), login=("u", "p"))
    for security in (Security.OPPORTUNISTIC, Security.NONE):
        client = Client(tmp_path, script, security=security, local=False, credentials=lambda: Credentials("u", "p"))
        assert "a password is not sent" in trouble(client)
    assert not script.logged_in


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_logging_in(tmp_path: Path, mechanism: str) -> None:
    script = Script((f"AUTH {mechanism}",), login=("ü", "p w"))
    client = Client(tmp_path, script, credentials=lambda: Credentials("ü", "p w"))
    assert verdicts(client.send()) == [(Verdict.SENT, "2.0.0")]
    client = Client(tmp_path, script, credentials=lambda: Credentials("ü", "wrong"))
    assert trouble(client) == "535 5.7.8 wrong"


def test_no_way_to_log_in(tmp_path: Path) -> None:
    client = Client(tmp_path, Script(("AUTH X-NEW",)), credentials=lambda: Credentials("u", "p"))
    assert "no way to log in" in trouble(client)


def test_a_password_that_cannot_be_read(tmp_path: Path) -> None:
    def missing() -> Credentials:
        raise FileNotFoundError("no such file")

    assert "cannot be read" in trouble(Client(tmp_path, Script(("AUTH PLAIN",)), credentials=missing))


# -- SCRAM


class ScramScript(Script):
    """A smarthost that knows SCRAM-SHA-256, and the password "p"."""

    def __init__(self, rounds: str = "") -> None:
        super().__init__(("AUTH SCRAM-SHA-256 PLAIN",))
        facts = ScramMechanism("SCRAM-SHA-256").make_auth_info("p", iteration_count=4096)
        self.server = ScramMechanism("SCRAM-SHA-256").make_server(lambda user: facts)
        self.steps: list[str] = []
        self.rounds = rounds

    def reply(self, command: str, usual: str) -> str:
        if usual.startswith(("220", "250")):
            return usual
        self.steps.append(command)
        if len(self.steps) == 1:
            self.server.set_client_first(b64decode(command.split(" ")[2]).decode())
            first = self.server.get_server_first()
            return self._challenge(first.replace("i=4096", f"i={self.rounds}") if self.rounds else first)
        if len(self.steps) == 2:
            try:
                self.server.set_client_final(b64decode(command).decode())
            except ScramException:
                return "535 5.7.8 wrong"
            return self._challenge(self.server.get_server_final())
        return "235 2.7.0 welcome"

    def _challenge(self, text: str) -> str:
        return f"334 {b64encode(text.encode()).decode()}"


def test_scram_proves_the_password_and_does_not_give_it_away(tmp_path: Path) -> None:
    script = ScramScript()
    client = Client(tmp_path, script, credentials=lambda: Credentials("u", "p"))
    client.answer(client.smarthost.connect())
    assert len(script.steps) == 3
    assert script.steps[0].startswith("AUTH SCRAM-SHA-256 ")


def test_scram_with_a_wrong_password(tmp_path: Path) -> None:
    client = Client(tmp_path, ScramScript(), credentials=lambda: Credentials("u", "wrong"))
    assert trouble(client) == "535 5.7.8 wrong"


def test_a_server_that_wants_endless_hashing(tmp_path: Path) -> None:
    client = Client(tmp_path, ScramScript("99999999"), credentials=lambda: Credentials("u", "p"))
    assert "must not be >" in trouble(client)
