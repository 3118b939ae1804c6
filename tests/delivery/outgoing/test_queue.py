"""The queue at work: retries, bounces, delays, restarts. RFC: 5321 §4.5.4.1, 3461, 3464"""

from __future__ import annotations

import email
import json
from itertools import pairwise
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from mailpost.delivery.outgoing import queue as queueing
from mailpost.delivery.outgoing.reports import Reports
from mailpost.delivery.outgoing.smarthost import Connection
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import Client, ForwardPath, Notify, Returned, ReversePath
from tests.delivery.outgoing.smarthost import DROP, SILENCE, Script
from tests.delivery.outgoing.working import ANN, DAY, HOUR, MESSAGE, MINUTE, START, World


def fields(report: bytes, recipient: int = 0) -> dict[str, str]:
    """The block of a recipient in a report."""
    status = email.message_from_bytes(report).get_payload()[1]  # type: ignore[index]
    block = status.get_payload()[1 + recipient]  # type: ignore[union-attr,index]
    return {name.lower(): value for name, value in block.items()}  # type: ignore[union-attr]


def test_a_message_goes_out_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("carl@example.net", "dora@example.net")
    world.pass_by(0)
    assert world.sent == [["carl@example.net", "dora@example.net"]]
    assert world.script.taken[0].octets == MESSAGE
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"lock"}
    assert world.inbox() == []


def test_retries_come_on_a_growing_schedule(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "450 4.2.1 busy"}))
    world.put()
    tried = [0.0]
    for _ in range(300):
        before = world.script.commands.count("RCPT TO:<carl@example.net>")
        world.pass_by(MINUTE)
        if world.script.commands.count("RCPT TO:<carl@example.net>") > before:
            tried.append(round((world.clock.seconds() - START) / MINUTE))
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert [round(each) for each in pauses][:5] == pytest.approx([1, 5, 15, 30, 60], abs=1)


def test_after_give_up_it_comes_back_and_is_forgotten(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "450 4.2.1 busy"}), warn_after=100 * DAY)
    world.put()
    world.pass_by(4.9 * DAY)
    assert world.inbox() == []
    world.pass_by(0.2 * DAY)
    (bounce,) = world.inbox()
    assert fields(bounce)["action"] == "failed"
    assert fields(bounce)["status"] == "5.4.7"
    assert fields(bounce)["diagnostic-code"] == "smtp; 450 4.2.1 busy"
    assert b"now its time is over" in bounce
    assert world.files.names() == []
    world.pass_by(5 * DAY)
    assert len(world.inbox()) == 1


def test_each_recipient_has_its_own_fate(tmp_path: Path) -> None:
    script = Script(replies={"RCPT TO:<no@": "550 5.1.1 nobody", "RCPT TO:<later@": ["450 busy", "450 busy"]})
    world = World(tmp_path, script)
    world.put("yes@example.net", "no@example.net", "later@example.net")
    world.pass_by(0)
    assert world.sent == [["yes@example.net"]]
    (bounce,) = world.inbox()
    assert fields(bounce)["final-recipient"] == "rfc822;no@example.net"
    world.pass_by(10 * MINUTE)
    assert world.sent == [["yes@example.net"], ["later@example.net"]]
    assert len(world.inbox()) == 1
    assert world.files.names() == []


def test_a_bounce_is_what_the_rfcs_want(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "550 5.1.1 nobody"}))
    sender = ReversePath("ann@example.org", envelope_id="e1")
    world.put(ForwardPath("no@example.net", original="rfc822;No@example.net"), sender=sender)
    world.pass_by(0)
    (octets,) = world.inbox()
    bounce = email.message_from_bytes(octets)
    assert bounce["return-path"] == "<>"
    assert bounce["auto-submitted"] == "auto-replied"
    _, status, returned = bounce.get_payload()  # type: ignore[misc]
    assert status.get_payload()[0]["original-envelope-id"] == "e1"  # type: ignore[union-attr,index,call-overload]
    assert fields(octets)["original-recipient"] == "rfc822;No@example.net"
    assert MESSAGE in octets
    assert returned.get_content_type() == "message/rfc822"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("returned", "size", "whole"),
    [(None, 10, True), (None, 60_000, False), (Returned.FULL, 300_000, True), (Returned.HEADERS, 10, False)],
)
def test_as_much_comes_back_as_was_asked_for(tmp_path: Path, returned: Returned | None, size: int, whole: bool) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "550 no"}))
    octets = MESSAGE + b"x" * size + b"\r\n"
    world.put(octets=octets, sender=ReversePath("ann@example.org", returned=returned))
    world.pass_by(0)
    (bounce,) = world.inbox()
    assert (octets in bounce) is whole
    assert b"Subject: hello\r\n" in bounce


def test_a_late_message_is_told_of_once(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"MAIL": "451 4.3.0 not now"}))
    world.put("carl@example.net")
    world.put(ForwardPath("dora@example.net", frozenset({Notify.FAILURE})))
    world.pass_by(3 * HOUR)
    assert world.inbox() == []
    world.pass_by(2 * DAY)
    (warning,) = world.inbox()
    assert fields(warning)["final-recipient"] == "rfc822;carl@example.net"
    assert fields(warning)["action"] == "delayed"
    assert fields(warning)["status"] == "4.3.0"
    assert fields(warning)["will-retry-until"] == world.reports.date(START + 5 * DAY)
    assert b"text\r\n" not in warning.partition(b"Subject: hello")[2], "only a failure brings the message back"


def test_who_wants_to_hear_nothing_hears_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "550 no"}))
    world.put(ForwardPath("no@example.net", frozenset({Notify.NEVER})))
    world.put(ForwardPath("no@example.net", frozenset({Notify.SUCCESS})))
    world.pass_by(MINUTE)
    assert world.inbox() == []
    assert world.files.names() == []


@pytest.mark.parametrize(("extensions", "told"), [((), True), (("DSN",), False)])
def test_success_is_told_where_the_smarthost_does_not(tmp_path: Path, extensions: tuple[str, ...], told: bool) -> None:
    world = World(tmp_path, Script(extensions))
    world.put(ForwardPath("carl@example.net", frozenset({Notify.SUCCESS})), "dora@example.net")
    world.pass_by(0)
    reports = world.inbox()
    assert len(reports) == told
    if told:
        assert fields(reports[0])["action"] == "relayed"
        assert b"dora@" not in reports[0].partition(b"text/rfc822-headers")[0]


def test_a_bounce_is_never_bounced(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "550 no"}))
    world.put(sender=ReversePath(""))
    world.pass_by(MINUTE)
    assert world.inbox() == []
    assert world.files.names() == []


def test_mail_that_came_through_bounces_to_where_it_came_from(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT TO:<carl@": "550 no"}))
    relayed = Client("LMTP", "192.0.2.9", "mx")
    world.put("carl@example.net", sender=ReversePath("eve@example.com"), client=relayed)
    world.pass_by(5)
    assert world.sent == [["eve@example.com"]]
    assert world.script.taken[0].sender == ""
    assert b"Auto-Submitted: auto-replied" in world.script.taken[0].octets


def test_a_user_who_sends_as_somebody_elsewhere_hears_of_it_here(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "550 no"}))
    world.put(sender=ReversePath("ann@elsewhere.example"))
    world.pass_by(5)
    assert len(world.inbox("ann")) == 1


def test_a_bounce_that_cannot_be_filed_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "550 no"}))
    begin = world.local.begin
    full = [True]

    def begins(client: Client, sender: ReversePath) -> object:
        if full[0]:
            raise MailError(ErrorKind.DISK_FULL, "The disk is full")
        return begin(client, sender)

    monkeypatch.setattr(world.local, "begin", begins)
    world.put()
    world.pass_by(30)
    assert len(world.files.names()) == 1
    full[0] = False
    world.pass_by(10 * MINUTE)
    assert world.script.commands.count("RCPT TO:<carl@example.net>") == 1, "it is not tried again"
    assert len(world.inbox()) == 1
    assert world.files.names() == []


def test_a_bounce_too_large_for_the_mailbox_comes_without_the_message(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT": "550 no"}))
    world.local.message_size = 100_000
    octets = MESSAGE + b"x" * 99_000 + b"\r\n"
    world.put(octets=octets, sender=ReversePath("ann@example.org", returned=Returned.FULL))
    world.pass_by(0)
    (bounce,) = world.inbox()
    assert len(bounce) < 10_000
    assert b"Subject: hello" in bounce


def test_a_bug_in_sending_is_no_reason_to_try_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Connection, "send", broken)
    world = World(tmp_path, warn_after=100 * DAY)
    world.put()
    world.pass_by(6 * DAY)
    (bounce,) = world.inbox()
    assert fields(bounce)["status"] == "5.4.7"
    assert world.files.names() == []


def test_a_bug_in_telling_does_not_send_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    world = World(tmp_path, Script(replies={"RCPT TO:<no@": "550 no"}))
    monkeypatch.setattr(Reports, "_send", broken)
    world.put("carl@example.net", "no@example.net")
    world.pass_by(DAY)
    assert world.sent == [["carl@example.net"]]
    assert len(world.files.names()) == 1
    monkeypatch.undo()
    world.pass_by(DAY)
    assert world.sent == [["carl@example.net"]]
    assert len(world.inbox()) == 1


# -- the connection


def test_without_a_smarthost_everything_waits_and_nothing_is_lost(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.endpoint.refuses = True
    names = [world.put(f"{number}@example.net") for number in range(5)]
    world.pass_by(30)
    assert world.files.names() == sorted(names)
    found = world.files.envelope(names[0])
    assert found is not None
    last = found[0].recipients[0].last
    assert last is not None
    assert "cannot connect to smtp.example" in last.text
    world.endpoint.refuses = False
    world.pass_by(10 * MINUTE)
    assert sorted(world.sent) == [[f"{number}@example.net"] for number in range(5)]


def test_one_connection_carries_several(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"": ["421 not yet"] * 2}))
    for number in range(20):
        world.put(f"{number}@example.net")
    world.pass_by(10 * MINUTE)
    assert len(world.sent) == 20
    assert world.script.connections <= 6


def test_never_more_connections_than_allowed(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"MAIL": SILENCE}))
    for number in range(10):
        world.put(f"{number}@example.net")
    world.pass_by(10)
    assert world.script.connections == 2


def test_what_the_smarthost_took_without_saying_so_is_sent_again(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={".": [DROP]}))
    world.put()
    world.pass_by(0)
    assert len(world.files.names()) == 1
    world.pass_by(2 * MINUTE)
    assert world.sent == [["carl@example.net"]] * 2
    assert world.files.names() == []


# -- restarts and other processes


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"MAIL": ["451 later", "451 later"]}))
    name = world.put()
    world.pass_by(70)
    found = world.files.envelope(name)
    assert found is not None
    assert found[0].attempts == 2
    world.restart()
    world.pass_by(4 * MINUTE)
    assert world.sent == []
    world.pass_by(2 * MINUTE)
    assert world.sent == [["carl@example.net"]]


def test_what_was_queued_when_it_died_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"MAIL": SILENCE}))
    world.put()
    world.pass_by(1)
    world.script.replies.clear()
    world.crash()
    world.pass_by(1)
    assert world.sent == [["carl@example.net"]]


def test_a_stop_waits_for_what_is_being_sent_but_not_for_ever(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={".": SILENCE}))
    world.put()
    world.pass_by(1)
    closed: list[object] = []
    Deferred.fromCoroutine(world.queue.close()).addBoth(closed.append)
    world.pass_by(3)
    assert not closed
    world.pass_by(3)
    assert closed == [None]
    assert len(world.files.names()) == 1


def test_two_servers_do_not_both_send(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.endpoint.refuses = True
    other = World(tmp_path)
    other.put()
    other.pass_by(30)
    assert other.sent == []
    world.pass_by(2)
    assert len(other.files.names()) == 1
    world.endpoint.refuses = False
    world.pass_by(2 * MINUTE)
    assert world.sent == [["carl@example.net"]]
    other.put("eve@example.net")
    world.pass_by(2)
    assert world.sent[1:] == [["eve@example.net"]], "what another server has queued is seen to at once"
    world.answer(world.queue.close())
    other.put("dora@example.net")
    other.pass_by(10)
    assert other.sent == [["dora@example.net"]]


def test_another_process_asks_for_a_retry(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"MAIL": ["451 later"] * 3}))
    name = world.put()
    world.pass_by(10 * MINUTE)
    assert world.sent == []
    assert world.files.retry(name, world.clock.seconds())
    world.files.wake()
    world.pass_by(2)
    assert world.sent == [["carl@example.net"]]


def test_what_another_process_removes_does_not_come_back(tmp_path: Path) -> None:
    world = World(tmp_path, Script(replies={"RCPT": SILENCE}))
    name = world.put()
    world.pass_by(1)
    assert world.files.remove(name)
    world.pass_by(10 * MINUTE)
    assert world.files.names() == []
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"lock"}


# -- damage


@pytest.mark.parametrize("damage", ["envelope", "shape", "message", "short"])
def test_a_broken_entry_is_set_aside_and_stops_no_other(tmp_path: Path, damage: str) -> None:
    world = World(tmp_path)
    world.endpoint.refuses = True
    broken, whole = world.put("carl@example.net"), world.put("dora@example.net")
    envelope, message = tmp_path / f"{broken}.envelope", tmp_path / f"{broken}.message"
    if damage == "envelope":
        envelope.write_bytes(b"\0\xff{")
    elif damage == "shape":
        envelope.write_text(json.dumps({**json.loads(envelope.read_text()), "recipients": [1]}))
    elif damage == "message":
        message.unlink()
    else:
        message.write_bytes(b"short")
    world.endpoint.refuses = False
    for name in (broken, whole):
        world.files.retry(name, world.clock.seconds())
    world.files.wake()
    world.pass_by(3)
    assert world.sent == [["dora@example.net"]]
    assert world.files.names() == []
    kept = {path.name for path in (tmp_path / "corrupt").iterdir()}
    assert f"{broken}.envelope" in kept


def test_a_folder_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "queue").write_text("in the way")
    world = World(tmp_path / "queue")
    with pytest.raises(MailError) as caught:
        world.put()
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    (tmp_path / "queue").unlink()
    world.pass_by(10)
    world.put()
    world.pass_by(2)
    assert world.sent == [["carl@example.net"]]


# -- many


def test_memory_holds_a_part_of_a_long_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "MOST_KNOWN", 10)
    world = World(tmp_path)
    world.endpoint.refuses = True
    for number in range(65):
        world.put(f"{number}@example.net")
        world.pass_by(0)
    assert len(world.queue._due) <= 20
    world.restart()
    world.pass_by(10)
    assert len(world.queue._due) <= 20
    world.endpoint.refuses = False
    world.pass_by(2 * HOUR)
    assert sorted(world.sent) == sorted([f"{number}@example.net"] for number in range(65))


def test_what_is_new_does_not_wait_behind_all_that_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "MOST_KNOWN", 5)
    world = World(tmp_path)
    world.endpoint.refuses = True
    for number in range(50):
        world.put(f"{number}@example.net")
        world.pass_by(0)
    world.endpoint.refuses = False
    world.script.replies["MAIL"] = SILENCE
    world.pass_by(3 * MINUTE)
    world.put("new@example.net")
    assert "new@example.net" in [
        each.path.address
        for _, name in world.queue._due
        if (found := world.files.envelope(name)) is not None
        for each in found[0].recipients
    ]


def test_the_same_recipient_twice_gets_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("carl@example.net", "carl@example.net")
    world.pass_by(0)
    assert world.sent == [["carl@example.net"]]


# -- the way in


def test_lines_that_servers_read_differently_are_not_sent_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    for octets in (b"a\nb\r\n", b"a\rb\r\n", b"x\r\n\n.\r\n", b"a\r"):
        for cut in range(len(octets)):
            transaction = world.receiver.begin(ANN, ReversePath("ann@example.org"))
            transaction.add_recipient(ForwardPath("carl@example.net"))
            with pytest.raises(MailError) as caught:
                world.answer(transaction.write(octets[:cut]))
                world.answer(transaction.write(octets[cut:]))
                world.answer(transaction.commit())
            assert caught.value.kind is ErrorKind.MESSAGE_REFUSED
    assert world.files.names() == []
    assert not list((tmp_path / "tmp").iterdir())


def test_what_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    transaction = world.receiver.begin(ANN, ReversePath("ann@example.org"))
    transaction.add_recipient(ForwardPath("carl@example.net"))
    world.answer(transaction.write(b"x" * 1_000_000))
    assert list((tmp_path / "tmp").iterdir())
    transaction.abort()
    assert not list((tmp_path / "tmp").iterdir())
    with pytest.raises(MailError):
        world.answer(transaction.commit())


@pytest.mark.parametrize("address", ["carl", "@example.net", "carl@", "a@b\r\nRSET", "a@b>x"])
def test_what_is_no_address_is_not_queued(tmp_path: Path, address: str) -> None:
    world = World(tmp_path)
    transaction = world.receiver.begin(ANN, ReversePath("ann@example.org"))
    with pytest.raises(MailError):
        transaction.add_recipient(ForwardPath(address))


def test_too_much(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(MailError):
        world.receiver.begin(ANN, ReversePath("ann@example.org", size=10**9))
    transaction = world.receiver.begin(ANN, ReversePath("ann@example.org"))
    for number in range(1000):
        transaction.add_recipient(ForwardPath(f"{number}@example.net"))
    with pytest.raises(MailError) as caught:
        transaction.add_recipient(ForwardPath("one.more@example.net"))
    assert caught.value.kind is ErrorKind.TOO_MANY_RECIPIENTS
