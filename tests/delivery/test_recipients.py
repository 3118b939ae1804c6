"""Whom an address means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from mailpost.delivery.aliases import canonical_domain
from mailpost.delivery.recipients import MOST_TARGETS
from mailpost.delivery.records import Elsewhere, LocalUser
from mailpost.mail.errors import ErrorKind, MailError
from tests.delivery.post import recipients


def resolved(known, address):
    """What an address means, or the kind of the error."""
    outcome = []
    Deferred.fromCoroutine(known.resolve(address)).addBoth(outcome.append)
    if getattr(outcome[0], "check", None):
        outcome[0].trap(MailError)
        return outcome[0].value.kind
    return outcome[0]


def users(*names):
    return [LocalUser(name) for name in names]


def test_users_by_name_and_by_address():
    known = recipients("ann", "bob@other.example", "Cleo")
    assert resolved(known, "ann@example.org") == users("ann")
    assert resolved(known, "ann") == users("ann")
    assert resolved(known, "bob@other.example") == users("bob@other.example")
    assert resolved(known, "bob@example.org") is ErrorKind.NO_SUCH_USER
    assert resolved(known, "bob") is ErrorKind.NO_SUCH_USER
    assert resolved(known, "ann@other.example") is ErrorKind.RELAY_DENIED
    assert resolved(known, "ann@[192.0.2.1]") is ErrorKind.RELAY_DENIED
    for nothing in ("", "@example.org", "ann@", '""@example.org', "@"):
        assert resolved(known, nothing) is ErrorKind.NO_SUCH_USER


def test_case_does_not_matter_but_the_very_spelling_wins():
    known = recipients("Ann", "ann", "BOB")
    assert resolved(known, "Ann@EXAMPLE.org") == users("Ann")
    assert resolved(known, "ann@example.org.") == users("ann")
    assert resolved(known, "bob@example.org") == users("BOB")


def test_a_user_of_the_whole_address_comes_before_one_of_the_name():
    assert resolved(recipients("ann", "ann@example.org"), "ann@example.org") == users("ann@example.org")


def test_quotes_that_need_not_be_there():
    """RFC: 5321 §4.1.2"""
    assert resolved(recipients("ann"), '"ann"@example.org') == users("ann")
    assert resolved(recipients("ann"), r'"a\nn"@example.org') == users("ann")
    assert resolved(recipients("a b"), '"a b"@example.org') == users("a b")


def test_bare_names_can_be_forbidden_but_for_postmaster():
    known = recipients("ann", bare_names=False, postmaster="ann@example.org", catch_all="ann@example.org")
    assert resolved(known, "ann") is ErrorKind.NO_SUCH_USER
    assert resolved(known, "anybody") is ErrorKind.NO_SUCH_USER
    assert resolved(known, "POSTMASTER") == users("ann")


def test_domains_in_the_letters_of_any_language():
    """RFC: 6531 §3.2"""
    known = recipients("ann", domains=("Bücher.example",))
    assert resolved(known, "ann@bücher.example") == users("ann")
    assert resolved(known, "ann@xn--bcher-kva.example") == users("ann")
    assert resolved(known, "ann@bucher.example") is ErrorKind.RELAY_DENIED
    assert canonical_domain("ä" * 80) == "ä" * 80
    known = recipients("ann", aliases="Info@Bücher.example: ann\n@Läden.example: ann\n")
    for address in ("info@xn--bcher-kva.example", "info@bücher.example", "x@xn--lden-loa.example", "x@LÄDEN.example"):
        assert resolved(known, address) == users("ann")


def test_aliases_that_could_never_be_read_are_not_nobody():
    known = recipients("ann")
    known._aliases.was_read = False
    assert resolved(known, "sales") is ErrorKind.UNAVAILABLE


def test_details():
    """RFC: 5233 §1"""
    known = recipients("ann", "bob+x", aliases="sales: ann, bob+x@example.org+")
    assert resolved(known, "ann+Work@example.org") == [LocalUser("ann", "Work")]
    assert resolved(known, "ann+a+b") == [LocalUser("ann", "a+b")]
    assert resolved(known, "bob+x@example.org") == users("bob+x")
    assert resolved(known, "bob+x+y@example.org") is ErrorKind.NO_SUCH_USER
    assert resolved(known, "+ann@example.org") is ErrorKind.NO_SUCH_USER
    assert resolved(recipients("ann", detail_separator=""), "ann+Work@example.org") is ErrorKind.NO_SUCH_USER
    assert resolved(recipients("ann", detail_separator="--"), "ann--Work@example.org") == [LocalUser("ann", "Work")]


def test_aliases():
    known = recipients(
        "ann",
        "bob",
        aliases="""
            sales: ann, bob, cleo@elsewhere.example
            info@example.org: ann+Info
            team: sales, dora@elsewhere.example, sales@example.org
            bob: bob, b@elsewhere.example
            @old.example: ann
            old@old.example: bob
            typo: anne
        """.replace("            ", ""),
    )
    cleo, dora = Elsewhere("cleo@elsewhere.example"), Elsewhere("dora@elsewhere.example")
    b = Elsewhere("b@elsewhere.example")
    assert resolved(known, "Sales@example.org") == [*users("ann", "bob"), b, cleo]
    assert resolved(known, "sales+Orders") == [LocalUser("ann", "Orders"), LocalUser("bob", "Orders"), b, cleo]
    assert resolved(known, "info@example.org") == [LocalUser("ann", "Info")]
    assert resolved(known, "info") is ErrorKind.NO_SUCH_USER
    assert resolved(known, "team") == [*users("ann", "bob"), b, cleo, dora]
    assert resolved(known, "bob") == [*users("bob"), b]
    assert resolved(known, "anybody@old.example") == users("ann")
    assert resolved(known, "old@old.example") == [*users("bob"), b]
    assert resolved(known, "typo") is ErrorKind.NO_SUCH_USER
    assert resolved(known, "sales@other.example") is ErrorKind.RELAY_DENIED


def test_circles_are_cut():
    known = recipients("ann", aliases="a: b\nb: a\nc: c, ann\n@old.example: x@old.example\nd: c, d, a\n")
    assert resolved(known, "a") is ErrorKind.NO_SUCH_USER
    assert resolved(known, "c") == users("ann")
    assert resolved(known, "d") == users("ann")
    assert resolved(known, "y@old.example") is ErrorKind.NO_SUCH_USER


def test_aliases_that_stand_for_more_and_more_are_not_followed_for_ever():
    text = "".join(f"a{n}: a{n + 1}, a{n + 1}+x, a{n + 1}+y\n" for n in range(30))
    assert MOST_TARGETS < 3**30
    assert resolved(recipients("ann", aliases=text + "a30: ann\n"), "a0") is ErrorKind.UNAVAILABLE


def test_catch_all():
    known = recipients("ann", "bob", aliases="typo: anne\n@example.org: bob\n", catch_all="ann")
    assert resolved(known, "anybody@example.org") == users("bob")
    assert resolved(known, "anybody") == users("ann")
    assert resolved(known, "anybody@other.example") is ErrorKind.RELAY_DENIED
    assert resolved(recipients("ann", catch_all="nobody"), "x") is ErrorKind.NO_SUCH_USER
    assert resolved(recipients("ann", catch_all="ann@elsewhere.example"), "x") is ErrorKind.NO_SUCH_USER


def test_postmaster():
    """RFC: 5321 §4.5.1"""
    known = recipients("ann", "bob", postmaster="ann", catch_all="bob", domains=("example.org", "example.net"))
    for address in ("postmaster", "Postmaster@example.org", "POSTMASTER@example.net"):
        assert resolved(known, address) == users("ann")
    assert resolved(known, "postmaster@elsewhere.example") is ErrorKind.RELAY_DENIED
    assert resolved(recipients("ann", "Postmaster", postmaster="ann"), "postmaster") == users("Postmaster")
    assert resolved(recipients("ann"), "postmaster") is ErrorKind.NO_SUCH_USER
    assert resolved(recipients("ann", "bob", postmaster="ann", aliases="postmaster: bob"), "postmaster") == users("bob")


LOCALS = st.sampled_from(["ann", "Ann", "ANN", "bob", "cleo", "x", "ann+a", "bob+", "+", "a+b+c", '"ann"', '"', "é"])
PLACES = st.sampled_from(["", "@example.org", "@EXAMPLE.org.", "@old.example", "@else.example", "@", "@@", "@[::1]"])
ANY = st.one_of(st.builds(str.__add__, LOCALS, PLACES), st.text(max_size=40))
NAMES = st.sampled_from(["ann", "bob", "cleo", "x", "ann@example.org", "x@elsewhere.example", "@old.example"])
SOME = st.sampled_from(["ann", "bob+a", "cleo", "x", "x@example.org", "y@elsewhere.example", "z@old.example"])


@given(
    ANY,
    st.dictionaries(NAMES, st.lists(SOME, min_size=1, max_size=3), max_size=5),
    st.sampled_from(["", "ann", "x", "bob@example.org"]),
    st.sampled_from(["", "+", "-"]),
)
def test_every_address_means_somebody_known_or_nobody(address, aliases, catch_all, separator):
    text = "".join(f"{name}: {', '.join(targets)}\n" for name, targets in aliases.items())
    known = recipients("ann", "Bob", aliases=text, catch_all=catch_all, detail_separator=separator)
    found = resolved(known, address)
    if isinstance(found, ErrorKind):
        assert found in (ErrorKind.NO_SUCH_USER, ErrorKind.RELAY_DENIED)
        return
    assert found, "somebody, or an error"
    assert len(set(found)) == len(found)
    named = {target for targets in aliases.values() for target in targets}
    for target in found:
        if isinstance(target, LocalUser):
            assert target.name in ("ann", "Bob")
        else:
            assert target.address in named, "only an alias sends anything elsewhere"
            assert not target.address.endswith("example.org")


@pytest.mark.parametrize("separator", ["+", "-", "=="])
@given(detail=st.text(max_size=20))
def test_a_detail_is_handed_on_as_it_is(separator, detail):
    known = recipients("ann", detail_separator=separator)
    assert resolved(known, f"ann{separator}{detail}@example.org") == [LocalUser("ann", detail)]
