from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailpost.mail.transport import BodyKind, ForwardPath, Notify, Returned, ReversePath
from mailpost.wire.smtp.errors import CommandError
from mailpost.wire.smtp.parameters import OF_MAIL, OF_RCPT, from_xtext, with_parameters

ALL = frozenset({"SIZE", "8BITMIME", "SMTPUTF8", "DSN", "AUTH"})


def mail(text: str, extensions: frozenset[str] = ALL) -> ReversePath:
    return with_parameters(ReversePath("a@b"), text, OF_MAIL, extensions)


def rcpt(text: str, extensions: frozenset[str] = ALL) -> ForwardPath:
    return with_parameters(ForwardPath("a@b"), text, OF_RCPT, extensions)


def refused(call: object, text: str, **more: frozenset[str]) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        call(text, **more)  # type: ignore[operator]
    return caught.value.reply.code, caught.value.reply.status


def test_parameters_of_mail() -> None:
    """RFC: 1870, 6152, 6531, 3461, 4954"""
    assert mail("") == ReversePath("a@b")
    assert mail(" SIZE=12345  body=8bitmime smtputf8 RET=hdrs ENVID=QQ+2B314159 AUTH=<> ") == ReversePath(
        "a@b", 12345, BodyKind.EIGHT_BIT, True, Returned.HEADERS, "QQ+314159"
    )
    assert mail(" BODY=7BIT AUTH=ann+40example.org RET=FULL").returned is Returned.FULL


def test_parameters_of_rcpt() -> None:
    assert rcpt(" NOTIFY=SUCCESS,failure ORCPT=rfc822;ann+2Bx@example.org") == ForwardPath(
        "a@b", frozenset({Notify.SUCCESS, Notify.FAILURE}), "rfc822;ann+x@example.org"
    )
    assert rcpt(" NOTIFY=NEVER").notify == {Notify.NEVER}
    assert rcpt(" ORCPT=utf-8;j\\x{F6}rg@example.org").original == "utf-8;jörg@example.org"
    assert rcpt(" ORCPT=utf-8;jörg@example.org").original == "utf-8;jörg@example.org"


@pytest.mark.parametrize("text", [" FOO", " FOO=bar", " XSIZE=3", " NOTIFY=NEVER"])
def test_what_is_not_known(text: str) -> None:
    assert refused(mail, text) == (555, "5.5.4")


def test_what_is_not_offered_is_not_known() -> None:
    offered = frozenset({"SIZE"})
    assert mail(" SIZE=3", offered).size == 3
    for text in (" BODY=7BIT", " SMTPUTF8", " AUTH=<>", " RET=FULL"):
        assert refused(mail, text, extensions=offered) == (555, "5.5.4")
    assert refused(rcpt, " NOTIFY=NEVER", extensions=offered) == (555, "5.5.4")


@pytest.mark.parametrize(
    "text",
    [
        "SIZE=3",
        "x SIZE=3",
        " SIZE",
        " SIZE=",
        " SIZE=x",
        " SIZE=-1",
        " SIZE=1_0",
        " SIZE=٣",
        " SIZE=" + "9" * 21,
        " SIZE=1 SIZE=1",
        " BODY=9BIT",
        " BODY=BINARYMIME",
        " SMTPUTF8=1",
        " RET=SOME",
        " ENVID=",
        " ENVID=+4",
        " ENVID=+FF",
        " ENVID=+0D+0A",
        " ENVID=" + "x" * 101,
        " AUTH",
        " AUTH=+",
        " =3",
        " <x>",
    ],
)
def test_values_that_make_no_sense(text: str) -> None:
    assert refused(mail, text) == (501, "5.5.4")


@pytest.mark.parametrize(
    "text",
    [
        " NOTIFY=",
        " NOTIFY=SOMETIMES",
        " NOTIFY=NEVER,SUCCESS",
        " NOTIFY=SUCCESS,",
        " ORCPT=ann@example.org",
        " ORCPT=rfc822;",
        " ORCPT=rfc822;a+0D+0Ab",
        " ORCPT=utf-8;a\\x{0D}b",
        " ORCPT=utf-8;a\\x{D800}b",
        " ORCPT=utf-8;a\\x{FFFFFF}b",
        " ORCPT=x y;z",
        " ORCPT=rfc822;" + "x" * 500,
    ],
)
def test_values_of_recipients_that_make_no_sense(text: str) -> None:
    assert refused(rcpt, text)[0] in (501, 555)


@given(some.text(some.characters(exclude_categories=("C", "Z")), max_size=30))
def test_xtext_there_and_back(text: str) -> None:
    written = "".join(
        chr(octet) if 33 <= octet <= 126 and octet not in b"+=" else f"+{octet:02X}" for octet in text.encode()
    )
    if text.isprintable():
        assert from_xtext(written) == text
