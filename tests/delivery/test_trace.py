"""The fields that are put before a message. RFC: 5321 §4.4"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.delivery import trace
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import Client, ReversePath

RELAY = Client("LMTP", "192.0.2.1", "relay.example.net")


def received(client=RELAY, to=("ann@example.org",), seconds=0, zone=0):
    field = trace.received(client, to, hostname="mx.example.org", delivery="abc", seconds=seconds, zone=zone)
    return field.decode()


def test_received():
    assert received(zone=5400) == (
        "Received: from relay.example.net ([192.0.2.1])\r\n"
        "\tby mx.example.org with LMTP id abc\r\n"
        "\tfor <ann@example.org>; Thu, 1 Jan 1970 01:30:00 +0130\r\n"
    )


@pytest.mark.parametrize(
    ("client", "origin"),
    [
        (Client("ESMTPSA", "2001:db8::1", "laptop"), "from laptop ([IPv6:2001:db8::1])\r\n\tby"),
        (Client("LMTP", "192.0.2.1"), "from [192.0.2.1] ([192.0.2.1])\r\n\tby"),
        (Client("LMTP", "unix", "mx"), "from mx (local)\r\n\tby"),
        (Client("LMTP", "unix"), "from local (local)\r\n\tby"),
        (Client("ESMTP", "192.0.2.1", "[192.0.2.9]"), "from [192.0.2.9] ([192.0.2.1])\r\n\tby"),
        (Client("ESMTP", "192.0.2.1", "x)\r\nX-Evil: yes"), "from [192.0.2.1] ([192.0.2.1])\r\n\tby"),
        (Client("ESMTP", "192.0.2.1", "bücher.example"), "from bücher.example ([192.0.2.1])\r\n\tby"),
        (Client("LMTP", ""), "by mx.example.org"),
    ],
)
def test_where_it_came_from(client, origin):
    assert received(client).startswith(f"Received: {origin}")


def test_only_a_single_recipient_is_named():
    """RFC: 5321 §7.2"""
    assert "for <" not in received(to=("ann@example.org", "bob@example.org"))


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_nothing_that_a_client_says_begins_a_field_of_its_own(name, address, sender):
    fields = (
        trace.return_path(ReversePath(sender))
        + trace.delivered_to(address)
        + trace.received(Client("LMTP", "192.0.2.1", name), [address], hostname="mx", delivery="abc", seconds=0, zone=0)
    )
    assert fields.endswith(b"\r\n")
    lines = fields.split(b"\r\n")[:-1]
    assert [line.partition(b":")[0] for line in lines if line[:1] != b"\t"] == [
        b"Return-Path",
        b"Delivered-To",
        b"Received",
    ]
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    assert b"\0" not in fields


def test_the_null_path():
    assert trace.return_path(ReversePath("")) == b"Return-Path: <>\r\n"


def test_return_paths_that_came_along_are_taken_out_and_nothing_else():
    head = trace.read_head(
        b"Return-Path: <a@b>\r\nReceived: x\r\nreturn-path : <c@d>\r\n folded\r\nSubject: Return-Path: y\r\n"
        b"RETURN-PATH:<e@f>\r\n\r\nReturn-Path: in the body\r\n"
    )
    assert head.kept == b"Received: x\r\nSubject: Return-Path: y\r\n\r\n"
    assert head.hops == 1


LINES = st.sampled_from([b"a: b\r\n", b"Return-Path: <x>\r\n", b" fold\r\n", b"none\r\n", b"\r\n", b"b\xffc: d\r\n"])


@given(st.lists(LINES))
def test_what_is_no_return_path_stays_as_it_is(lines):
    octets = b"".join(lines)
    head = trace.read_head(octets)
    kept, removing = [], False
    for line in octets[: head.end].splitlines(keepends=True):
        removing = line.startswith(b"Return-Path") or (removing and line.startswith(b" "))
        kept += [] if removing else [line]
    assert head.kept == b"".join(kept)


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"\r\nbody", b"Subject: cut", b"no header\r\n\r\nbody", b"a\r\n"])
def test_messages_without_a_real_header(octets):
    head = trace.read_head(octets)
    assert head.kept + octets[head.end :] == octets


def test_loops():
    """RFC: 5321 §6.3"""
    head = trace.read_head(b"Delivered-To: Ann@Example.org\r\nDelivered-To: b\xc3\xbccher@example.org\r\n\r\n")
    trace.require_no_loop(head)
    trace.require_no_loop(head, "bob@example.org")
    for address in ("ann@example.org", "ANN@EXAMPLE.ORG", "bücher@example.org"):
        with pytest.raises(MailError) as caught:
            trace.require_no_loop(head, address)
        assert caught.value.kind is ErrorKind.LOOP
    trace.require_no_loop(trace.read_head(b"Received: x\r\n" * trace.MOST_HOPS + b"\r\nReceived: y\r\n"))
    with pytest.raises(MailError) as caught:
        trace.require_no_loop(trace.read_head(b"Received: x\r\n" * (trace.MOST_HOPS + 1)))
    assert caught.value.kind is ErrorKind.LOOP
