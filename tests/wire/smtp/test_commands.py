from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailpost.mail.transport import ForwardPath, ReversePath
from mailpost.wire.smtp import commands as wire
from mailpost.wire.smtp.commands import from_base64, parse
from mailpost.wire.smtp.errors import CommandError

ALL = frozenset({"SIZE", "8BITMIME", "SMTPUTF8", "DSN", "AUTH"})


def refused(line: bytes) -> CommandError:
    with pytest.raises(CommandError) as caught:
        parse(line, ALL)
    return caught.value


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"EHLO there.example", wire.Hello("EHLO", "there.example")),
        (b"lhlo [127.0.0.1]", wire.Hello("LHLO", "[127.0.0.1]")),
        (b"HELO my_pc", wire.Hello("HELO", "my_pc")),
        (b'EHLO a (b) "c" <d>', wire.Hello("EHLO", "a??b???c???d?")),
        (b"MAIL FROM:<a@b>", wire.Mail(ReversePath("a@b"))),
        (b"mail from: <a@b> size=3  ", wire.Mail(ReversePath("a@b", 3))),
        (b"MAIL FROM:<>", wire.Mail(ReversePath(""))),
        ("MAIL FROM:<jörg@b> SMTPUTF8".encode(), wire.Mail(ReversePath("jörg@b", smtputf8=True))),
        (b"RCPT TO:<ann>", wire.Rcpt(ForwardPath("ann"))),
        (b"Rcpt To:<a@b>", wire.Rcpt(ForwardPath("a@b"))),
        (b"DATA", wire.Data()),
        (b"data \t", wire.Data()),
        (b"BDAT 0 LAST", wire.Bdat(0, True)),
        (b"BDAT 12 last", wire.Bdat(12, True)),
        (b"BDAT 1234", wire.Bdat(1234, False)),
        (b"RSET", wire.Rset()),
        (b"NOOP whatever there is", wire.Noop()),
        (b"VRFY ann", wire.Vrfy()),
        (b"EXPN list", wire.Expn()),
        (b"HELP MAIL", wire.Help()),
        (b"QUIT", wire.Quit()),
        (b"STARTTLS", wire.StartTls()),
        (b"AUTH plain", wire.Auth("PLAIN", None)),
        (b"AUTH PLAIN =", wire.Auth("PLAIN", b"")),
        (b"AUTH PLAIN AGpvZQBzZWNyZXQ=", wire.Auth("PLAIN", b"\0joe\0secret")),
        (
            b"XCLIENT ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE] LOGIN=a+2Bb",
            wire.XClient({"ADDR": "IPV6:2001:db8::1", "NAME": None, "LOGIN": "a+b"}),
        ),
    ],
)
def test_commands(line: bytes, command: wire.Command) -> None:
    """RFC: 5321 §4.1.1"""
    assert parse(line, ALL) == command


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", 500),
        (b" ", 500),
        (b"XYZZY", 500),
        (b"M\xc3\xa4IL FROM:<a@b>", 500),
        (b"\xff\xfe", 500),
        (b"MAIL FROM:<a@b>\0", 500),
        (b"MAIL FROM:<a@b>\rRCPT TO:<c@d>", 500),
        (b"MAIL", 501),
        (b"MAIL FROM", 501),
        (b"MAIL FROM:", 501),
        (b"MAIL FROM:a@b", 501),
        (b"MAIL TO:<a@b>", 501),
        (b"MAIL FROM:<a b>", 501),
        (b"MAIL FROM:<a@b>x", 501),
        (b"MAIL FROM:<a@b> FOO=1", 555),
        ("MAIL FROM:<jörg@b>".encode(), 553),
        (b"RCPT", 501),
        (b"RCPT TO:<>", 501),
        (b"RCPT TO:ann", 501),
        (b"RCPT TO:<a@b> FOO", 555),
        (b"DATA now", 501),
        (b"RSET all", 501),
        (b"QUIT please", 501),
        (b"STARTTLS now", 501),
        (b"EHLO", 501),
        (b"BDAT", 501),
        (b"BDAT x", 501),
        (b"BDAT -1", 501),
        (b"BDAT 5 FIRST", 501),
        (b"BDAT 99999999999999999999999999", 501),
        (b"AUTH", 501),
        (b"AUTH  ", 501),
        (b"AUTH PLAIN ?", 501),
        (b"AUTH PLAIN =AAA", 501),
        (b"AUTH PLAIN AAA", 501),
        (b"AUTH " + b"X" * 21, 501),
        (b"XCLIENT", 501),
        (b"XCLIENT FOO=1", 501),
        (b"XCLIENT ADDR", 501),
        (b"XCLIENT HELO=+0A", 501),
    ],
)
def test_what_is_no_command(line: bytes, code: int) -> None:
    error = refused(line)
    assert error.reply.code == code
    assert error.fatal == (line.startswith(b"BDAT")), "behind a chunk of unknown size nothing can be read"


@given(
    some.binary(max_size=60)
    | some.sampled_from([b"MAIL FROM:", b"RCPT TO:<", b"AUTH "]).flatmap(
        lambda head: some.binary(max_size=40).map(lambda rest: head + rest)
    )
)
def test_any_line_is_a_command_or_a_clear_refusal(line: bytes) -> None:
    try:
        parse(line, ALL)
    except CommandError as error:
        rendered = error.reply.render()
        assert rendered.endswith(b"\r\n")
        assert rendered.isascii()
        assert all(b"\n" not in each and b"\r" not in each for each in rendered.split(b"\r\n"))


def test_base64() -> None:
    assert from_base64(b"=") == b""
    assert from_base64(b"Kg==") == b"*"
    for text in (b"Kg", b"Kg=", b"K g=", b"\xff", b"===="):
        with pytest.raises(CommandError):
            from_base64(text)
