"""Searching: every key, and what of a message is searched. RFC: 3501 §6.4.4, 9051 §6.4.4"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail import searchkeys as keys
from mailpost.mail.encodings import casemapped
from mailpost.mail.flags import FLAGGED, SEEN, Flags, intern_flags
from mailpost.mail.headers import end_of
from mailpost.mail.searching import body_holds, body_text, header_text, header_texts, matches, text_holds
from mailpost.mail.searchkeys import Comparison, DateField, SearchKey
from mailpost.mail.uidset import SequenceSet, UidSet
from tests.corpus import messages

MESSAGE = (
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\nSubject: top =?utf-8?q?enc_oded?=\r\n folded\r\nX-Fold:"
    b" aaa\r\n\tbbb\r\nContent-Type: multipart/mixed; boundary=BB\r\n\r\npreamble\r\n--BB\r\n"
    b'Content-Type: text/plain; charset=iso-8859-1; name="partname"\r\n'
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 soft=\r\nbreak\r\nacross\r\nlines\r\n--BB\r\n"
    b"Content-Type: text/html\r\n\r\n<b>tag</b>bold\r\n--BB\r\n"
    b"Content-Type: application/x-foo\r\n\r\napplication text\r\n--BB\r\nContent-Type: text/plain\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nQVRUQUNIRUQ=\r\n--BB\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: innersubject\r\n\r\ninnertext\r\n--BB\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dsn"
    b"\r\n--BB\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\n"
    b"unreadable\r\n--BB--\r\nepilogue\r\n"
)


FLAGS = intern_flags([SEEN, "$Work"])


@dataclass
class Facts:
    """One message as a store tells of it."""

    uid: int = 7
    flags: Flags = FLAGS
    modseq: int = 20
    size: int = len(MESSAGE)
    internaldate: int = 837596665
    sent_day: int | None = date(1996, 7, 16).toordinal()
    message: bytes = MESSAGE

    def header_texts(self, name: str) -> list[str]:
        return header_texts(self.message[: end_of(self.message)], name)

    def octets(self) -> bytes:
        return self.message


def on(field: DateField, comparison: Comparison, day: int) -> SearchKey:
    return keys.OnDate(field, comparison, date(1996, 7, day))


INTERNAL, SENT = DateField.INTERNAL, DateField.SENT
BEFORE, ON, SINCE = Comparison.BEFORE, Comparison.ON, Comparison.SINCE
YES: list[SearchKey] = [
    keys.All(),
    keys.And(()),
    keys.And((keys.Body("CAFÉ"), keys.HasFlag(SEEN))),
    keys.Or(keys.HasFlag(FLAGGED), keys.HasFlag("$WORK")),
    keys.Not(keys.HasFlag(FLAGGED)),
    keys.Uids(UidSet.of([7])),
    keys.Larger(100),
    keys.Smaller(100_000),
    keys.ModSeq(20),
    on(INTERNAL, ON, 17),
    on(INTERNAL, SINCE, 17),
    on(INTERNAL, BEFORE, 18),
    on(SENT, ON, 16),
    on(SENT, SINCE, 1),
    keys.Header("X-FOLD", ""),
    keys.Header("subject", "enc oded folded"),
    keys.Header("FROM", "jörg <JOERG"),
    keys.Body("innertext"),
    keys.Text("innersubject"),
    keys.Body(""),
]
NO: list[SearchKey] = [
    keys.Not(keys.All()),
    keys.And((keys.All(), keys.Body("nowhere"))),
    keys.And((keys.Body("café"), keys.HasFlag(FLAGGED))),
    keys.Or(keys.HasFlag(FLAGGED), keys.HasFlag("\\work")),
    keys.Uids(UidSet.of([8])),
    keys.Larger(len(MESSAGE)),
    keys.Smaller(len(MESSAGE)),
    keys.ModSeq(21),
    on(INTERNAL, BEFORE, 17),
    on(SENT, BEFORE, 16),
    keys.Header("x-none", ""),
    keys.Header("subject", "innersubject"),
    keys.Header("x-fold", "aaabbb"),
]


@pytest.mark.parametrize("key", YES, ids=repr)
def test_keys_that_match(key: SearchKey) -> None:
    assert matches(key, Facts())


@pytest.mark.parametrize("key", NO, ids=repr)
def test_keys_that_do_not(key: SearchKey) -> None:
    assert not matches(key, Facts())


@pytest.mark.parametrize("comparison", Comparison)
def test_a_message_without_a_date_was_never_sent(comparison: Comparison) -> None:
    assert not matches(on(SENT, comparison, 16), Facts(sent_day=None))


def test_keys_of_a_session_are_refused() -> None:
    for key in (keys.Recent(), keys.SavedResult(), keys.Sequence(SequenceSet(((1, 1),)))):
        with pytest.raises(ValueError, match="session has to resolve"):
            matches(key, Facts())


IN_BODY = ["café", "cafe", "softbreak", "<b>tag", ">bold", "attached", "innertext", "reporting-mta: dsn"]
IN_HEADERS = ["jörg", "oded folded", "aaa bbb", "boundary=bb", "partname", "innersubject", "x-fold: aaa", "quoted-pr"]
NOWHERE = ["preamble", "epilogue", "across lines", "application text", "qvruqunir", "unreadable", "aaabbb", "=e9"]


def test_what_is_searched() -> None:
    for needle in IN_BODY:
        assert body_holds(MESSAGE, casemapped(needle)), needle
        assert text_holds(MESSAGE, casemapped(needle)), needle
    for needle in IN_HEADERS:
        assert not body_holds(MESSAGE, casemapped(needle)), needle
        assert text_holds(MESSAGE, casemapped(needle)), needle
    for needle in NOWHERE:
        assert not text_holds(MESSAGE, casemapped(needle)), needle


def test_headers_by_name() -> None:
    header = b"To: a@b\r\nX: y\r\nTO: =?utf-8?q?=C3=84?=\r\n\tc\r\n\r\n"
    assert header_texts(header, "to") == ["a@b", casemapped("Ä c")]


WORDS = [
    "linux",
    "the",
    "mailing list",
    "mail",
    "=3d",
    "content-type: text",
    "\r\n",
    "g",
    "ü",
    "",
    "no such phrase",
    ": ",
]


@pytest.mark.parametrize("needle", WORDS)
def test_the_short_cut_is_right(needle: str) -> None:
    sought = casemapped(needle)
    for octets in messages()[:400]:
        assert body_holds(octets, sought) == (sought in body_text(octets))
        assert text_holds(octets, sought) == (sought in body_text(octets) or sought in header_text(octets))
        bare = octets.replace(b"\r\n", b"\n")
        assert body_holds(bare, sought) == (sought in body_text(bare))


FRAGMENTS = [
    b"Content-Type: text/plain\r\n",
    b"Content-type: multipart/mixed; boundary=a\r\n",
    b"Content-Type : a/b\r\n",
    b"Content-Transfer-Encoding: 7bit\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: x-odd\r\n",
    b"Content-Type: text/plain; charset=utf-7\r\n",
    b"Subject: abc\r\n",
    b"\r\n",
    b"\r\n",
    b"--a\r\n",
    b"abc",
    b" ",
    b"\t",
    b"QUJD",
    b"+AGE-bc",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join), st.sampled_from(["abc", "b", "abc abc", " ab"]))
def test_the_short_cut_is_right_for_any_message(octets: bytes, needle: str) -> None:
    assert body_holds(octets, needle) == (needle in body_text(octets))
    assert text_holds(octets, needle) == (needle in body_text(octets) or needle in header_text(octets))


def test_searching_is_quick() -> None:
    started = time.perf_counter()
    for octets in messages():
        body_holds(octets, "no such phrase anywhere")
    assert (time.perf_counter() - started) / len(messages()) < 0.002


@pytest.mark.parametrize(
    ("needle", "found"), [("\tby mail", False), (" by mail", True), ("x\r", False), ("\tin", True)]
)
def test_a_fold_is_a_space(needle: str, found: bool) -> None:
    octets = b"Received: from x\r\n\tby mail\r\nSubject: y\r\n\r\n\tin the body\r\n"
    assert (needle in body_text(octets) or needle in header_text(octets)) == found
    assert text_holds(octets, needle) == found
