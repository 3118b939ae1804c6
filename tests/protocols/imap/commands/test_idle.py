"""IDLE. RFC: 2177"""

import pytest
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from mailpost.wire.imap.commands import ParseError
from tests.protocols.imap.commands.dialogue import MESSAGE, Client, account, add


def idling(made, select="INBOX"):
    client = Client(made, select)
    answered = client.begins("IDLE")
    assert client.heard() == b"+ idling\r\n"
    return client, answered


def test_changes_are_told_as_they_come_in_a_turn_of_their_own():
    made = account(2)
    client, answered = idling(made)
    other = Client(made, "INBOX")
    add(made, [MESSAGE % (3, 3)])
    assert client.heard() == b"", "never in the call of who made the change"
    client.clock.advance(0)
    assert client.heard() == b"* 3 EXISTS\r\n* 3 RECENT\r\n"
    other.says("STORE 1 +FLAGS.SILENT (\\Deleted \\Seen)")
    other.says("EXPUNGE")
    client.clock.advance(0)
    assert client.heard() == b"* 1 EXPUNGE\r\n"
    client.types(b"done")
    client.clock.advance(0)
    assert answered.called
    assert client.heard() == b"a OK IDLE completed\r\n"
    assert client.clock.getDelayedCalls() == []
    assert client.selected.on_wake is None


def test_what_happened_before_is_told_at_once():
    made = account(1)
    client = Client(made, "INBOX")
    add(made, [MESSAGE % (2, 2)])
    client.begins("IDLE")
    assert client.heard() == b"+ idling\r\n* 2 EXISTS\r\n* 2 RECENT\r\n"


def test_a_thousand_changes_wake_once():
    made = account(0)
    client, _ = idling(made)
    add(made, [MESSAGE % (n, n) for n in range(1000)])
    Client(made, "INBOX").says("STORE 1:1000 +FLAGS.SILENT (\\Seen)")
    assert len([call for call in client.clock.getDelayedCalls() if call.getTime() == 0]) == 1
    client.clock.advance(0)
    assert client.heard().startswith(b"* 1000 EXISTS\r\n")


def test_a_sign_of_life_goes_out_every_two_minutes():
    client, answered = idling(account(1))
    client.clock.advance(119)
    assert client.heard() == b""
    client.clock.advance(1)
    client.clock.advance(0)
    assert client.heard() == b"* OK Still here\r\n"
    client.clock.advance(120)
    client.clock.advance(0)
    assert client.heard() == b"* OK Still here\r\n"
    assert not answered.called


def test_only_done_ends_it():
    client, answered = idling(account(1))
    client.types(b"b NOOP")
    client.clock.advance(0)
    assert client.heard() == b"* BAD Expected DONE\r\n"
    assert not answered.called
    client.types(b"DONE")
    client.clock.advance(0)
    assert answered.called


def test_without_a_mailbox():
    client, answered = idling(account(1), select="")
    client.clock.advance(120)
    client.clock.advance(0)
    assert client.heard() == b"* OK Still here\r\n"
    client.types(b"DONE")
    client.clock.advance(0)
    assert client.heard() == b"a OK IDLE completed\r\n"
    assert answered.called


def test_a_mailbox_that_is_deleted_ends_it():
    made = account(0)
    made.create("Work")
    client, answered = idling(made, "Work")
    made.delete("Work")
    client.clock.advance(0)
    assert answered.called
    assert client.goodbye == b"gone"


def test_a_line_that_breaks_the_rules_ends_it():
    client, answered = idling(account(1))
    client._line.errback(Failure(ParseError("Line too long")))
    client.clock.advance(0)
    assert answered.called
    assert client.heard() == b"a BAD Line too long\r\n"


def test_a_lost_connection_leaves_nothing_behind():
    client, answered = idling(account(1))
    line = client._line
    answered.addErrback(lambda failure: failure.trap(CancelledError))
    answered.cancel()
    assert answered.called
    assert client.clock.getDelayedCalls() == []
    assert client.selected.on_wake is None
    assert line.called


@pytest.mark.parametrize("held", [True, False])
def test_it_holds_no_message(held):
    client = Client(account(1), "INBOX")
    if held:
        client.says("FETCH 1 BODY.PEEK[]<0.3>")
        assert client.selected.held is not None
    client.begins("IDLE")
    assert client.selected.held is None
