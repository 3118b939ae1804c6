"""Many messages at once, always the same ones: for tests that need a full mailbox."""

from __future__ import annotations

import random
from collections.abc import Iterator

from mailpost.mail.dates import format_date
from mailpost.mail.flags import ANSWERED, FLAGGED, NO_FLAGS, SEEN, Flags, intern_flags
from mailpost.storage.records import NewMessage

FIRST_DATE = 1_577_836_800
"""The first of January 2020, in seconds since the epoch."""
PARAGRAPHS = 256
_PEOPLE = (
    "Ann Archer <ann@example.org>",
    "Ben Okafor <ben@example.net>",
    "=?utf-8?Q?Chlo=C3=A9_Durand?= <chloe@example.org>",
    "=?utf-8?B?0JTQvNC40YLRgNC40Lk=?= <dmitri@example.net>",
    "Emi Tanaka <emi@example.org>",
    '"Berg, Finn" <finn@example.org>',
    "=?iso-8859-1?Q?G=FCl?= Demir <guel@example.net>",
    "hana@example.org",
)
_TOPICS = ("garden", "meeting", "invoice", "holiday", "report", "lunch", "release", "library", "train", "concert")
_TEXT = """
the of and to in that is was for on with as by at from this have not are which one had all there been if more when who
out so said what up its about into than them can only other new some could time these two may then do first any my now
such like our over man me even most made after also did many before must through years where much your way well down
should because each just those people how too little state good very make world still see own work between life being
under day never same another know while last might us great old year off come since go against came right used take
"""
_WORDS = _TEXT.split()
_FLAGS: tuple[tuple[Flags, int], ...] = (
    (intern_flags({SEEN}), 6),
    (NO_FLAGS, 3),
    (intern_flags({SEEN, ANSWERED}), 2),
    (intern_flags({SEEN, FLAGGED}), 1),
)


def messages(count: int, seed: int = 0) -> Iterator[NewMessage]:
    """So many messages, always the same for a seed; the first of a longer run are those of a shorter one.

    From 8 people, in conversations (References), with dates a few minutes apart from 2020 on, flags, texts of 30 to 250
    words, one in five with HTML beside its text, one in twenty with an attachment.
    """
    chance = random.Random(seed)
    paragraphs = [_paragraph(chance) for _ in range(PARAGRAPHS)]
    flags = [each for each, weight in _FLAGS for _ in range(weight)]
    seconds = FIRST_DATE
    subject = "Hello"
    thread: list[str] = []
    for number in range(count):
        seconds += chance.randrange(60, 600)
        if not thread or len(thread) > 8 or chance.random() < 0.4:
            thread, subject = [], f"{chance.choice(_TOPICS).title()} {number}"
        name = f"<{seed}.{number}@mail.test>"
        reply = f"In-Reply-To: {thread[-1]}\r\nReferences: {' '.join(thread)}\r\n" if thread else ""
        head = (
            f"From: {chance.choice(_PEOPLE)}\r\nTo: you@example.org\r\n"
            f"Subject: {'Re: ' if thread else ''}{subject}\r\nDate: {format_date(seconds, 0)}\r\n"
            f"Message-ID: {name}\r\n{reply}MIME-Version: 1.0\r\n"
        )
        thread.append(name)
        text = "\r\n".join(chance.choices(paragraphs, k=chance.randrange(1, 6)))
        yield NewMessage((head + _body(chance, number, text)).encode(), chance.choice(flags), seconds)


def _paragraph(chance: random.Random) -> str:
    words = chance.choices(_WORDS, k=chance.randrange(30, 50))
    return "\r\n".join(" ".join(words[at : at + 12]) for at in range(0, len(words), 12)) + "\r\n"


def _body(chance: random.Random, number: int, text: str) -> str:
    """The body, with the fields that describe it."""
    plain = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    kind = chance.random()
    if kind < 0.05:
        return _multipart("mixed", number, plain, _attachment(chance, number))
    if kind < 0.25:
        html = f"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>{text}</p></body></html>\r\n"
        return _multipart("alternative", number, plain, html)
    return plain


def _attachment(chance: random.Random, number: int) -> str:
    rows = "\r\n".join(f"{row},{chance.randrange(1000)}" for row in range(20))
    name = f'Content-Type: text/csv; name="{number}.csv"'
    return f'{name}\r\nContent-Disposition: attachment; filename="{number}.csv"\r\n\r\nrow,value\r\n{rows}\r\n'


def _multipart(subtype: str, number: int, *parts: str) -> str:
    boundary = f"=_{number}"
    inside = "".join(f"--{boundary}\r\n{part}" for part in parts)
    return f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n{inside}--{boundary}--\r\n'
