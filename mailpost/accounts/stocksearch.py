"""A search as Twisted's own `IMAP4Server` hands it on: nested lists of tokens, to a tree of search keys.

The stock parser has taken the quotes off strings. They are put back where a token needs them, and what results is read
by our own parser, so that there is one grammar of searches.
"""

from __future__ import annotations

import re
from typing import Any

from mailpost.mail.errors import MailError
from mailpost.mail.searchkeys import Recent, SearchKey, Sequence, Uids, UidSequence, with_leaves
from mailpost.mail.selected import SequenceView
from mailpost.mail.uidset import UidSet
from mailpost.wire.imap.decoder import CommandLine, Literal
from mailpost.wire.imap.grammar import ParseError
from mailpost.wire.imap.reader import Reader
from mailpost.wire.imap.search import parse_search

_BARE = re.compile(rb"[A-Za-z0-9*:,.$_+-]+").fullmatch


class UnreadableQueryError(ValueError):
    """The query is no search."""


def search_key(query: list[Any], view: SequenceView, recent: UidSet) -> SearchKey:
    """The search key of a stock query, with numbers turned into the UIDs of this view."""
    text = bytearray(b" ")
    literals: list[Literal] = []
    _write(query, text, literals)
    try:
        key = parse_search(Reader(CommandLine(bytes(text), tuple(literals)))).key
    except (ParseError, MailError) as error:
        raise UnreadableQueryError(str(error)) from error

    def resolved(leaf: SearchKey) -> SearchKey:
        match leaf:
            case Sequence(numbers):
                return Uids(UidSet.of(view.uids(numbers.resolve(view.exists))))
            case UidSequence(uids):
                return Uids(uids.resolve(view.last_uid))
            case Recent():
                return Uids(recent)
            case _:
                return leaf

    return with_leaves(key, resolved)


def _write(tokens: list[Any], text: bytearray, literals: list[Literal]) -> None:
    """Append tokens as a command has them, with a space between them."""
    for place, token in enumerate(tokens):
        if place:
            text += b" "
        if isinstance(token, list):
            text += b"("
            _write(token, text, literals)
            text += b")"
            continue
        octets = token[0] if isinstance(token, tuple) else token
        octets = octets.encode("utf-8") if isinstance(octets, str) else octets
        if _BARE(octets):
            text += octets
        else:
            text += b"{%d}" % len(octets)
            literals.append(Literal(len(text), len(octets), octets))
