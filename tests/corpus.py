"""The messages that tests read: real mail from the folder named in MAILPOST_CORPUS, else about 250 made here.

What is made is the same on every run, and as odd as mail gets.
"""

from __future__ import annotations

import base64
import os
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mailpost.mail.lineends import to_crlf

_RETURN_PATH = re.compile(rb"(?im)^Return-Path:.*\n(?:[ \t].*\n)*")


@cache
def messages() -> list[bytes]:
    """All messages with CRLF line ends, in the order of their files' names."""
    named = os.environ.get("MAILPOST_CORPUS")
    if not named:
        return list(made())
    files = sorted(path for path in Path(named).rglob("*") if path.is_file() and path.suffix in (".txt", ".eml", ""))
    return [to_crlf(without_from_line(path.read_bytes())) for path in files]


def a_round() -> list[bytes]:
    """Five hundred for a client that other people wrote, or all that are made: no NUL in them, and their headers end.

    What IMAP cannot carry in a literal, and what clients pass over, has tests of its own.
    """
    return [octets for octets in messages() if b"\r\n\r\n" in octets and b"\0" not in octets][:500]


def without_from_line(octets: bytes) -> bytes:
    """The octets without the line that begins a message in an mbox file."""
    return octets.partition(b"\n")[2] if octets.startswith(b"From ") else octets


def without_return_path(octets: bytes) -> bytes:
    """The message as a client sends it: its last server adds the field, and takes away those that it came with."""
    return _RETURN_PATH.sub(b"", octets)


def paths_or_made(folder: Path) -> list[Path]:
    """Files that hold the messages, one each: those of MAILPOST_CORPUS, or new ones in the folder given."""
    named = os.environ.get("MAILPOST_CORPUS")
    if named:
        return sorted(path for path in Path(named).rglob("*") if path.is_file())
    folder.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(messages()):
        (folder / f"{number:05}.eml").write_bytes(octets)
    return sorted(folder.iterdir())


# ------------------------------------------------------------------------------------------ made by the project

_WORDS = (
    "linux",
    "kernel",
    "perl",
    "razor",
    "spam",
    "mailing",
    "list",
    "music",
    "house",
    "the",
    "of",
    "for",
    "example",
)
_PEOPLE = [
    b"Ann Example <ann@example.org>",
    b'"Smith, Bob" <bob@example.com>',
    b"cleo@example.net (Cleo)",
    b"=?utf-8?q?J=C3=BCrgen_Gro=C3=9F?= <j@example.de>",
    b"=?iso-2022-jp?B?GyRCOzNFREJATzobKEI=?= <yamada@example.jp>",
    b"R\xe9mi <remi@example.fr>",
]


def made() -> Iterator[bytes]:
    """Odd ones first, then ordinary ones."""
    yield from (odd.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for odd in _odd())
    draw = random.Random(20020901)
    for number in range(220):
        yield _ordinary(number, draw)


def _text(draw: random.Random, lines: int) -> bytes:
    return b"".join(" ".join(draw.choices(_WORDS, k=draw.randint(3, 12))).encode() + b"\r\n" for _ in range(lines))


def _ordinary(number: int, draw: random.Random) -> bytes:
    day = 1 + number % 28
    header = (
        b"Received: from relay.example.org ([127.0.0.1])\r\n\tby mail.example; Sun, %d Sep 2002 10:00:%02d +0100\r\n"
        b"From: %b\r\nTo: %b,\r\n %b\r\nSubject: %b\r\nDate: Sun, %d Sep 2002 %02d:%02d:00 +0100\r\n"
        b"Message-ID: <%d@example.org>\r\n"
        % (
            day,
            number % 60,
            draw.choice(_PEOPLE),
            draw.choice(_PEOPLE),
            draw.choice(_PEOPLE),
            _subject(number, draw),
            day,
            number % 24,
            number % 60,
            number,
        )
    )
    if number % 3:
        header += b"In-Reply-To: <%d@example.org>\r\nReferences: <0@example.org>\r\n <%d@example.org>\r\n" % (
            number - 1,
            number - 1,
        )
    return header + b"MIME-Version: 1.0\r\n" + _BODIES[number % len(_BODIES)](draw)


def _subject(number: int, draw: random.Random) -> bytes:
    words = " ".join(draw.choices(_WORDS, k=4)).encode()
    return [
        words,
        b"Re: " + words,
        b"[list] Re: " + words,
        b"=?utf-8?b?" + base64.b64encode(words + " grüße".encode()) + b"?=\r\n =?utf-8?q?_zwei?=",
        words + b"\r\n\tand folded",
    ][number % 5]


def _plain(draw: random.Random) -> bytes:
    return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + _text(draw, draw.randint(0, 60))


def _quoted(draw: random.Random) -> bytes:
    return (
        b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"gr=FC=DFe, soft=\r\n break =3D and =ZZ broken=\r\n" + _text(draw, 8)
    )


def _encoded(draw: random.Random) -> bytes:
    content = base64.encodebytes("Καλημέρα κόσμε ".encode() + _text(draw, 8)).replace(b"\n", b"\r\n")
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + content


def _eight_bit(draw: random.Random) -> bytes:
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + "naïve".encode()
        + (b"\r\n" + _text(draw, 4))
    )


def _alternative(draw: random.Random) -> bytes:
    return (
        b'Content-Type: multipart/alternative; boundary="=_alt (1)"\r\n\r\nMIME\r\n--=_alt (1)\r\n\r\n'
        + _text(draw, 5)
        + b"--=_alt (1)\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>"
        + _text(draw, 5)
        + b"</p>\r\n--=_alt (1)--\r\n"
    )


def _attachment(draw: random.Random) -> bytes:
    content = base64.encodebytes(draw.randbytes(3000)).replace(b"\n", b"\r\n")
    return (
        b"Content-Type: multipart/mixed; boundary=mixed\r\n\r\n--mixed\r\nContent-Type: text/plain\r\n\r\n"
        + _text(draw, 5)
        + b"--mixed\r\nContent-Type: image/png; name*0=pic;\r\n name*1=ture.png\r\n"
        b"Content-Transfer-Encoding: BASE64\r\n"
        b"Content-Disposition: attachment; filename*=utf-8''%C3%BCber.png\r\nContent-ID: <pic@example>\r\n"
        b"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Language: en, de\r\nContent-Location: pic.png\r\n\r\n"
        + content
        + b"\r\n--mixed--\r\nepilogue\r\n"
    )


def _forwarded(draw: random.Random) -> bytes:
    return (
        b"Content-Type: multipart/digest; boundary=dig\r\n\r\n--dig\r\n\r\n"
        b"Subject: inside\r\nFrom: eve@example.org\r\n\r\n"
        + _text(draw, 3)
        + b"--dig\r\nContent-Type: message/rfc822\r\n\r\nSubject: deep\r\n"
        b"Content-Type: multipart/mixed; boundary=in\r\n\r\n"
        b"--in\r\n\r\none\r\n--in\r\nContent-Type: text/html\r\n\r\n<b>two</b>\r\n--in--\r\n--dig--\r\n"
    )


_BODIES = (_plain, _plain, _plain, _quoted, _encoded, _eight_bit, _alternative, _attachment, _forwarded)


def nested(depth: int, name: bytes = b"b") -> bytes:
    """Multiparts inside each other, each with its own boundary, none the beginning of another."""
    level = b"Content-Type: multipart/mixed; boundary=%b%04d\r\n\r\n--%b%04d\r\n"
    return b"".join(level % (name, number, name, number) for number in range(depth))


def _odd() -> Iterator[bytes]:
    yield b""
    yield b"\r\n"
    yield b"\r\nno header\r\n"
    yield b"no colon here\r\n\r\nbody\r\n"
    yield b"Subject: cut short"
    yield b"Subject: header only\r\n"
    yield b"Subject: empty body\r\n\r\n"
    yield b"Subject: nul \0 octets\r\n\r\n\0\0 body \0\r\n"
    yield b"Subject: bare\rcr\r\n\r\na\rb\r\n"
    yield b"Subject: 8-bit \xff\xfe\xe4\r\nFrom: \xe4\xf6 <a@b>\r\n\r\n\x80\x81\xff\r\n"
    yield b"Subject: " + b"x" * 1_000_000 + b"\r\n\r\nhuge header line\r\n"
    yield b"Subject: huge line\r\n\r\n" + b"y" * 1_000_000 + b"\r\n"
    yield b"Subject: many folds\r\n" + b" fold\r\n" * 5_000 + b"\r\n.\r\n"
    yield b"Content-Type: multipart/mixed\r\n\r\nno boundary\r\n"
    yield b"Content-Type: multipart/mixed; boundary=none\r\n\r\nno such line\r\n"
    yield b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n"
    yield b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\nno blank line\r\n--x\r\n\r\nnever closed"
    yield (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n"
        b"--ab\r\n\r\n1\r\n--ab--\r\n--a\r\n\r\n2\r\n--a--\r\n"
    )
    yield b"Content-Type: text/plain; charset\r\n\r\nparameter without value\r\n"
    yield b"Content-Type: text/plain; charset=utf-8;\r\n\r\n\xff not utf-8\r\n"
    yield b"Content-Type: text/plain; charset=no-such-charset\r\n\r\n\xc3\xa4\r\n"
    yield b"Content-Type: nonsense\r\nContent-Transfer-Encoding: x-none\r\n\r\nbody\r\n"
    yield b"Content-Type: message/rfc822\r\n\r\nSubject: attached alone\r\n\r\nbody\r\n"
    yield b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!QUJD=ZGVm*Zw\r\n"
    yield b'From: undisclosed:;\r\nTo: a@b, , <>, "unclosed\r\nCc: (((\r\n\r\n.'
    yield nested(300)
    yield b"Content-Type: message/rfc822\r\n\r\n" * 300
    yield b"Subject: =?utf-8?q?broken?\r\nSubject: =?x?b?=?=\r\nDate: never\r\nDate: 31 Feb 2002\r\n\r\n"
    yield b"From: a@b\r\nFrom: c@d\r\nTo: e@f\r\nTo: g@h\r\nSubject: one\r\nSubject: two\r\n\r\ntwice\r\n"
