"""Mail that users hand over. RFC: 6409, 5321 §3.6.2, 5322 §3.6, 3461"""

from __future__ import annotations

import email
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import capturedLogs

from mailpost.accounts.account import User
from mailpost.delivery import submission as submitting
from mailpost.delivery.senders import Senders
from mailpost.delivery.sent import SentCopies, SentCopy
from mailpost.delivery.submission import Submission
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import Client, ForwardPath, Notify, ReversePath
from mailpost.storage.offload import settled
from tests.delivery.outgoing.working import World
from tests.delivery.post import mail_of, recipients, send

ANN = Client("ESMTPSA", "192.0.2.1", "laptop", "ann")
SENDER = ReversePath("ann@example.org")
DATE = b"Date: Sun, 9 Sep 2001 01:46:40 +0000\r\n"
MESSAGE = (
    b"From: Ann <ann@example.org>\r\n" + DATE + b"Message-ID: <1@laptop>\r\nSubject: hello\r\n"
    b"Bcc: secret@example.net\r\n\r\n.\r\nna\xc3\xafve\r\n"
)
CLEAN = MESSAGE.replace(b"Bcc: secret@example.net\r\n", b"")


class Office(World):
    """A server for ann and bob of example.org, with a smarthost or without one."""

    def __init__(
        self, folder: Path, smarthost: bool = True, aliases: str = "", copies: bool = True, **more: Any
    ) -> None:
        super().__init__(folder)
        whom = recipients("ann", "bob", "cleo@other.example", aliases=aliases)
        self.local.recipients = whom
        self.local.elsewhere = self.receiver if smarthost else None
        self.users = {"ann": User("ann", "", senders=frozenset({"sales@example.com", "@ann.example"}))}

        async def find(user: str) -> User | None:
            return self.users.get(user)

        async def wanted(user: str) -> bool:
            return copies

        rules = {key: more.pop(key) for key in list(more) if key in ("check_sender", "check_from", "null_sender")}
        self.submission = Submission(
            local=self.local,
            relay=self.receiver if smarthost else None,
            senders=Senders(whom, find, **rules),
            sent=SentCopies(self.store, wanted),
            reports=self.reports,
            hostname="mail.example.org",
            now=self.clock.seconds,
            **more,
        )

    def send(
        self,
        *addresses: str,
        octets: bytes = MESSAGE,
        sender: ReversePath = SENDER,
        client: Client = ANN,
        piece: int = 1 << 16,
    ) -> list[ErrorKind | None]:
        told: list[ErrorKind | None] = self.answer(send(self.submission, addresses, octets, sender, client, piece))
        self.pass_by(0)
        return told

    def mail(self, user: str, folder: str = "INBOX") -> list[bytes]:
        return [octets for octets, _ in self.answer(mail_of(self.store, user, folder))]


def refused(office: Office, *addresses: str, **more: Any) -> ErrorKind:
    with pytest.raises(MailError) as caught:
        office.send(*(addresses or ("carl@example.net",)), **more)
    assert office.mail("bob") == []
    assert office.files.names() == []
    assert office.mail("ann", "Sent") == []
    return caught.value.kind


def test_to_everybody_each_in_their_way(tmp_path: Path) -> None:
    office = Office(tmp_path)
    assert office.send("bob@example.org", "carl@example.net", "dora@example.net") == [None] * 3
    (local,) = office.mail("bob")
    assert local.endswith(b"\r\n" + CLEAN)
    assert local.count(b"Received:") == 1
    (taken,) = office.script.taken
    assert taken.recipients == ["carl@example.net", "dora@example.net"]
    received, _, rest = taken.octets.partition(b"From: Ann")
    assert b"From: Ann" + rest == CLEAN
    assert received.startswith(b"Received: from laptop ([192.0.2.1])\r\n\tby mail.example.org with ESMTPSA id ")
    assert b"carl@" not in received, "who else gets it is nobody's business"
    assert b"secret" not in local + taken.octets
    assert office.mail("ann", "Sent") == [b"X-Sent-Copy: automatic\r\n" + MESSAGE]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_whatever_pieces_it_comes_in(tmp_path: Path, piece: int) -> None:
    office = Office(tmp_path)
    office.send("bob@example.org", "carl@example.net", piece=piece)
    assert office.mail("bob")[0].endswith(CLEAN)
    assert office.script.taken[0].octets.endswith(CLEAN)


def test_what_is_missing_is_added_the_same_for_all(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.send("bob@example.org", "carl@example.net", octets=b"From: ann@example.org\r\n\r\nhi\r\n")
    seen = [email.message_from_bytes(each) for each in (office.mail("bob")[0], office.script.taken[0].octets)]
    seen.append(email.message_from_bytes(office.mail("ann", "Sent")[0]))
    assert len({each["message-id"] for each in seen}) == 1
    assert seen[0]["message-id"].endswith("@mail.example.org>")
    assert {each["date"] for each in seen} == {DATE.decode()[6:-2]}


def test_a_header_without_a_body(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.send("bob@example.org", octets=b"From: ann@example.org\r\n" + DATE + b"Message-ID: <2@x>\r\n")
    assert office.mail("bob")[0].endswith(b"Message-ID: <2@x>\r\n")


def test_the_client_can_be_hidden(tmp_path: Path) -> None:
    office = Office(tmp_path, hide_client=True)
    office.send("bob@example.org", "carl@example.net")
    for octets in (office.mail("bob")[0], office.script.taken[0].octets):
        assert b"192.0.2.1" not in octets
        assert b"laptop (" not in octets
        assert b"with ESMTPSA" in octets


# -- never an open relay


def test_nobody_sends_without_a_login(tmp_path: Path) -> None:
    office = Office(tmp_path)
    stranger = Client("ESMTPS", "192.0.2.1", "mx")
    assert refused(office, client=stranger) is ErrorKind.RELAY_DENIED
    assert refused(office, "bob@example.org", client=stranger) is ErrorKind.RELAY_DENIED


def test_without_a_smarthost_others_are_refused_at_once(tmp_path: Path) -> None:
    office = Office(tmp_path, smarthost=False, aliases="out: carl@example.net")
    told = office.send("bob@example.org", "carl@example.net", "nobody@example.org", "out@example.org")
    assert told == [None, ErrorKind.RELAY_DENIED, ErrorKind.NO_SUCH_USER, ErrorKind.RELAY_DENIED]
    transaction = office.answer(office.submission.begin(ANN, SENDER))
    with pytest.raises(MailError, match="it has no smarthost"):
        office.answer(transaction.add_recipient(ForwardPath("carl@example.net")))


def test_an_alias_that_leads_out_goes_by_the_queue(tmp_path: Path) -> None:
    office = Office(tmp_path, aliases="out: carl@example.net")
    assert office.send("out@example.org") == [None]
    assert office.sent == [["carl@example.net"]]


# -- who sends as whom


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("ann@example.org", True),
        ("Ann@EXAMPLE.org", True),
        ("ann+work@example.org", True),
        ("info@example.org", True),
        ("sales@example.com", True),
        ("whoever@ann.example", True),
        ("bob@example.org", False),
        ("all@example.org", False),
        ("out@example.org", False),
        ("nobody@example.org", False),
        ("ann@example.net", False),
        ("ann@example.com", False),
        ("cleo@other.example", False),
        ("ann", False),
        ("ann@", False),
        ("@example.org", False),
    ],
)
def test_which_addresses_are_whose(tmp_path: Path, address: str, own: bool) -> None:
    office = Office(tmp_path, aliases="info: ann\nall: ann, bob\nout: carl@example.net")
    assert office.answer(office.submission.senders.owns("ann", address)) is own


def test_a_user_whose_name_is_an_address(tmp_path: Path) -> None:
    senders = Office(tmp_path).submission.senders
    office = Office(tmp_path)
    assert office.answer(senders.owns("cleo@other.example", "cleo@other.example"))
    assert not office.answer(senders.owns("cleo@other.example", "cleo@example.org"))


def test_a_sender_that_is_not_ones_own(tmp_path: Path) -> None:
    office = Office(tmp_path)
    assert refused(office, sender=ReversePath("bob@example.org")) is ErrorKind.SENDER_DENIED
    assert refused(office, sender=ReversePath("")) is ErrorKind.SENDER_DENIED
    office = Office(tmp_path, check_sender=False, null_sender=True)
    assert office.send("bob@example.org", sender=ReversePath("bob@example.org")) == [None]
    assert office.send("bob@example.org", sender=ReversePath("")) == [None]


@pytest.mark.parametrize(
    "field",
    [
        b"From: bob@example.org",
        b"From: ann@example.org, bob@example.org",
        b"From: ann@example.org\r\nFrom: bob@example.org",
        b"From: Ann",
        b"From: nobody:;",
        b"Subject: no author",
        b"From : bob@example.org",
        b"from:\r\n bob@example.org",
    ],
)
def test_an_author_that_is_not_oneself(tmp_path: Path, field: bytes) -> None:
    octets = field + b"\r\n\r\ntext\r\n"
    office = Office(tmp_path)
    assert refused(office, "bob@example.org", "carl@example.net", octets=octets) is ErrorKind.SENDER_DENIED
    office = Office(tmp_path, check_from=False)
    assert office.send("carl@example.net", octets=octets) == [None]


# -- what goes wrong


def test_a_header_without_end(tmp_path: Path) -> None:
    octets = b"From: ann@example.org\r\n" + b"X: y\r\n" * 60_000
    assert refused(Office(tmp_path), octets=octets) is ErrorKind.MESSAGE_REFUSED


def test_a_queue_that_cannot_be_written_delivers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path)

    def full(name: str) -> object:
        raise MailError(ErrorKind.DISK_FULL, "The disk is full")

    monkeypatch.setattr(office.files, "receive", full)
    assert refused(office, "bob@example.org", "carl@example.net") is ErrorKind.DISK_FULL


def test_who_cannot_be_delivered_to_is_told_of_by_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path)
    account = office.answer(office.store.account("bob"))

    def full(*arguments: object, **more: object) -> object:
        raise MailError(ErrorKind.OVER_QUOTA, "The mailbox is full")

    monkeypatch.setattr(account, "append", full)
    assert office.send("bob@example.org", "carl@example.net") == [None, None]
    (bounce,) = office.mail("ann")
    assert b"bob@example.org\r\n    The mailbox is full" in bounce
    assert b"Action: failed\r\nStatus: 5.2.2\r\n" in bounce
    assert office.send("bob@example.org") == [ErrorKind.OVER_QUOTA]
    assert len(office.mail("ann")) == 1
    assert len(office.mail("ann", "Sent")) == 1


def test_a_delivery_is_told_of_where_that_is_wanted(tmp_path: Path) -> None:
    office = Office(tmp_path)

    async def hand_over() -> object:
        transaction = await settled(office.submission.begin(ANN, SENDER))
        await settled(transaction.add_recipient(ForwardPath("bob@example.org", frozenset({Notify.SUCCESS}))))
        await settled(transaction.write(MESSAGE))
        return await settled(transaction.commit())

    assert office.answer(hand_over()) == [None]
    (report,) = office.mail("ann")
    assert b"Action: delivered\r\nStatus: 2.0.0\r\n" in report


def test_a_copy_that_cannot_be_filed_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path)
    account = office.answer(office.store.account("ann"))

    def full(*arguments: object, **more: object) -> object:
        raise MailError(ErrorKind.OVER_QUOTA, "The mailbox is full")

    for method in ("append", "spool"):
        monkeypatch.setattr(account, method, full)
        assert office.send("bob@example.org") == [None]
    assert len(office.mail("bob")) == 2


def test_a_bug_behind_the_delivery_does_not_have_it_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path)

    async def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(submitting.SubmissionTransaction, "_report", broken)
    monkeypatch.setattr(SentCopy, "file", broken)
    with capturedLogs() as events:
        assert office.send("bob@example.org") == [None]
    assert [each["log_failure"].type for each in events if "log_failure" in each] == [ZeroDivisionError] * 2
    assert len(office.mail("bob")) == 1


def test_what_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    office = Office(tmp_path)
    for octets in (b"", b"From: ann@exam", MESSAGE):
        transaction = office.answer(office.submission.begin(ANN, SENDER))
        for address in ("bob@example.org", "carl@example.net"):
            office.answer(transaction.add_recipient(ForwardPath(address)))
        office.answer(transaction.write(octets))
        transaction.abort()
        with pytest.raises(MailError):
            office.answer(transaction.commit())
    assert (office.mail("bob"), office.mail("ann", "Sent"), office.files.names()) == ([], [], [])


def test_no_copies_where_none_are_wanted(tmp_path: Path) -> None:
    office = Office(tmp_path, copies=False)
    office.send("bob@example.org")
    assert office.mail("ann", "Sent") == []
