"""RFC: 3501 §6.4.4, 4731 §3.1, 7162 §3.1.5, 5182"""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.searchkeys import (
    All,
    And,
    Body,
    Comparison,
    DateField,
    HasFlag,
    Header,
    Larger,
    ModSeq,
    Not,
    OnDate,
    Or,
    Recent,
    SavedResult,
    SearchKey,
    Sequence,
    Smaller,
    Text,
    UidSequence,
)
from mailpost.mail.uidset import STAR, SequenceSet
from mailpost.wire.imap.commands import ParseError
from mailpost.wire.imap.search import Search, SearchReturn
from tests.wire.imap.wireside import parsed, written

DAY = date(1994, 2, 1)
SEEN = HasFlag("\\Seen")


@pytest.mark.parametrize(
    ("octets", "key"),
    [
        (b"all", All()),
        (b"ANSWERED", HasFlag("\\Answered")),
        (b"UNDELETED", Not(HasFlag("\\Deleted"))),
        (b"DRAFT", HasFlag("\\Draft")),
        (b"UNFLAGGED", Not(HasFlag("\\Flagged"))),
        (b"NEW", And((Recent(), Not(SEEN)))),
        (b"OLD", Not(Recent())),
        (b"RECENT", Recent()),
        (b"KEYWORD $Junk", HasFlag("$Junk")),
        (b"UNKEYWORD x", Not(HasFlag("x"))),
        (b"BCC x", Header("bcc", "x")),
        (b'CC ""', Header("cc", "")),
        (b"FROM {2+}\r\n\xc3\xa9", Header("from", "é")),
        (b"TO x", Header("to", "x")),
        (b'SUBJECT "a b"', Header("subject", "a b")),
        (b"HEADER List-Id x", Header("list-id", "x")),
        (b"BODY x", Body("x")),
        (b"TEXT x", Text("x")),
        (b"BEFORE 1-Feb-1994", OnDate(DateField.INTERNAL, Comparison.BEFORE, DAY)),
        (b'ON "1-Feb-1994"', OnDate(DateField.INTERNAL, Comparison.ON, DAY)),
        (b"SINCE 01-feb-1994", OnDate(DateField.INTERNAL, Comparison.SINCE, DAY)),
        (b"SENTBEFORE 1-Feb-1994", OnDate(DateField.SENT, Comparison.BEFORE, DAY)),
        (b"SENTON 1-Feb-1994", OnDate(DateField.SENT, Comparison.ON, DAY)),
        (b"SENTSINCE 1-Feb-1994", OnDate(DateField.SENT, Comparison.SINCE, DAY)),
        (b"LARGER 1", Larger(1)),
        (b"SMALLER 4294967296", Smaller(1 << 32)),
        (b"2,4:*", Sequence(SequenceSet(((2, 2), (4, STAR))))),
        (b"*", Sequence(SequenceSet(((STAR, STAR),)))),
        (b"UID 7", UidSequence(SequenceSet(((7, 7),)))),
        (b"$", SavedResult()),
        (b"NOT SEEN", Not(SEEN)),
        (b"NOT (SEEN)", Not(SEEN)),
        (b"OR SEEN (ALL RECENT)", Or(SEEN, And((All(), Recent())))),
        (b"SEEN ALL ", And((SEEN, All()))),
        (b"(SEEN ALL)", And((SEEN, All()))),
    ],
)
def test_keys(octets: bytes, key: SearchKey) -> None:
    assert parsed(b"SEARCH " + octets) == Search(key)
    assert parsed(b"UID SEARCH CHARSET us-ascii " + octets) == Search(key, uid=True, charset=True)


def test_mod_sequences_are_noticed() -> None:
    assert parsed(b"SEARCH MODSEQ 620162338") == Search(ModSeq(620162338), modseq=True)
    octets = b'SEARCH OR NOT MODSEQ "/flags/\\\\draft" all 620162338 LARGER 50000'
    assert parsed(octets) == Search(Or(Not(ModSeq(620162338)), Larger(50000)), modseq=True)


def test_results() -> None:
    assert parsed(b"SEARCH RETURN () ALL") == Search(All(), frozenset({SearchReturn.ALL}))
    asked = frozenset({SearchReturn.MIN, SearchReturn.COUNT, SearchReturn.SAVE})
    assert parsed(b"SEARCH return (min Count SAVE) CHARSET utf-8 ALL") == Search(All(), asked, charset=True)


def test_other_charsets() -> None:
    assert parsed(b"SEARCH CHARSET KOI8-R TEXT {2+}\r\n\xc4\xc1") == Search(Text("да"), charset=True)
    assert parsed(b'SEARCH CHARSET "utf8" TEXT x') == Search(Text("x"), charset=True)
    unread = parsed(b"UID SEARCH RETURN (SAVE) CHARSET X-NONE TEXT x")
    assert unread == Search(All(), frozenset({SearchReturn.SAVE}), uid=True, charset=True, charset_known=False)


def leaves(key: SearchKey) -> list[SearchKey]:
    """The alternatives, however they lie in each other."""
    return leaves(key.first) + leaves(key.second) if isinstance(key, Or) else [key]


def loose(key: SearchKey) -> object:
    """A key in which the shape of alternatives is no matter."""
    match key:
        case Or():
            return ["or", *map(loose, leaves(key))]
        case And(keys):
            return ["and", *map(loose, keys)]
        case Not(inner):
            return ["not", loose(inner)]
    return key


@pytest.mark.parametrize("shape", [b"OR ALL " * 300 + b"ALL", b"OR " * 300 + b"ALL" + b" ALL" * 300])
def test_many_alternatives_are_not_deep(shape: bytes) -> None:
    def depth(key: SearchKey) -> int:
        return 1 + max(depth(key.first), depth(key.second)) if isinstance(key, Or) else 0

    key = parsed(b"SEARCH " + shape).key
    assert len(leaves(key)) == 301
    assert depth(key) < 10


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"FOO",
        b"SUBJECT",
        b"SUBJECT ",
        b"SUBJECT {1+}\r\n\xff",
        b"SUBJECT \xe9",
        b"HEADER {2+}\r\n\xc3\xa9 x",
        b"HEADER x",
        b"KEYWORD \\Seen",
        b"BEFORE 31-Feb-1994",
        b"BEFORE x",
        b"LARGER -1",
        b"LARGER x",
        b"UID x",
        b"0",
        b"NOT",
        b"OR SEEN",
        b"OR SEENALL",
        b"()",
        b"(SEEN",
        b"SEEN)",
        b"SEEN  ALL",
        b"$x",
        b"MODSEQ",
        b"MODSEQ x",
        b'MODSEQ "/foo/x" all 1',
        b'MODSEQ "/flags/x" some 1',
        b"RETURN",
        b"RETURN ()",
        b"RETURN (FOO) ALL",
        b"CHARSET UTF-8",
        b"CHARSET",
        b"CHARSET UTF-8 RETURN () ALL",
        b"NOT " * 51 + b"ALL",
        b"(" * 51 + b"ALL" + b")" * 51,
        b"ALL " * 1000 + b"ALL",
        b"OR ALL " * 1000 + b"ALL",
        b"OR " * 1000 + b"ALL" + b" ALL" * 1000,
    ],
)
def test_errors(octets: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(b"SEARCH " + octets)


def test_bounds_are_wide_enough() -> None:
    assert parsed(b"SEARCH " + b"NOT " * 50 + b"ALL")
    assert parsed(b"SEARCH " + b"(" * 50 + b"ALL" + b")" * 50) == Search(All())
    assert parsed(b"SEARCH " + b"ALL " * 999 + b"ALL")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@st.composite
def keys(draw: st.DrawFn) -> tuple[bytes, SearchKey]:
    """A tree of keys, and how a client may write it."""

    def extended(inner: st.SearchStrategy[tuple[bytes, SearchKey]]) -> st.SearchStrategy[tuple[bytes, SearchKey]]:
        return st.one_of(
            inner.map(lambda one: (b"NOT " + one[0], Not(one[1]))),
            st.tuples(inner, inner).map(lambda two: (b"or %b %b" % (two[0][0], two[1][0]), Or(two[0][1], two[1][1]))),
            st.lists(inner, min_size=2, max_size=3).map(
                lambda many: (b"(" + b" ".join(one[0] for one in many) + b")", And(tuple(one[1] for one in many)))
            ),
        )

    text = draw(TEXT)
    leaves: list[tuple[bytes, SearchKey]] = [
        (b"seen", SEEN),
        (b"1,3:*", Sequence(SequenceSet(((1, 1), (3, STAR))))),
        (b"SUBJECT " + draw(written(text.encode())), Header("subject", text)),
        (b"TEXT " + draw(written(text.encode())), Text(text)),
    ]
    return draw(st.recursive(st.sampled_from(leaves), extended, max_leaves=6))


@given(keys())
def test_trees(tree: tuple[bytes, SearchKey]) -> None:
    octets, key = tree
    assert loose(parsed(b"SEARCH UNSEEN " + octets).key) == loose(And((Not(SEEN), key)))
