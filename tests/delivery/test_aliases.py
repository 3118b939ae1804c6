"""The aliases file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.delivery.aliases import key, parse

WORDS = st.text(st.sampled_from("abcXYZ0189._+-'/!%éß"), min_size=1, max_size=12).filter(
    lambda text: text[0] not in "/|#"
)
ADDRESSES = st.builds(
    lambda local, domain: f"{local}@{domain}" if domain else local, WORDS, st.one_of(st.just(""), WORDS)
)


def test_names_stand_for_addresses():
    read = parse(
        "# who gets what\n"
        "postmaster: ann\n"
        "\n"
        "sales:\tann,bob@example.org ,\n"
        "   cleo@elsewhere.example\n"
        "  # a comment between\n"
        "\t, dora\n"
        "Info@Example.org : ann\r\n"
        "@old.example:ann\n"
        '"two words": "odd one"@example.org\n'
    )
    assert not read.warnings
    assert dict(read.targets) == {
        "postmaster": ["ann"],
        "sales": ["ann", "bob@example.org", "cleo@elsewhere.example", "dora"],
        "info@example.org": ["ann"],
        "@old.example": ["ann"],
        "two words": ["odd one@example.org"],
    }


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nobody", "no colon"),
        (": ann", "one name before"),
        ("a b: ann", "no colon"),
        ("a, b: ann", "one name before"),
        ("nobody:", "stands for nobody"),
        ("nobody: ,", "not for ,"),
        ("at@: ann", "at@ is no address"),
        ("run: |/bin/program", "not for |/bin/program"),
        ('run: "|/bin/program -x"', "not for |/bin/program -x"),
        ("file: /var/mail/x", "not for /var/mail/x"),
        ("list: :include:/etc/list", "not for :include:/etc/list"),
        ("ann: \\ann", "not for \\ann"),
        ("all: @example.org", "not for @example.org"),
        ("all: ann@", "not for ann@"),
        ("all: ann bob", "not for bob"),
        ('open: "ann', 'not for "ann'),
    ],
)
def test_a_bad_line_is_named_and_takes_no_other_down(line, complaint):
    read = parse(f"first: ann\n# comment\n{line}\nlast: ann\n")
    (warning,) = read.warnings
    assert warning.startswith("line 3: ")
    assert complaint in warning
    assert set(read.targets) == {"first", "last"}


def test_the_first_of_two_counts():
    read = parse("a: ann\nA: bob\n")
    assert read.targets["a"] == ["ann"]
    assert read.warnings == ("line 2: A is listed twice; the first counts",)


@given(st.dictionaries(ADDRESSES, st.lists(ADDRESSES, min_size=1, max_size=5), max_size=6), st.data())
def test_what_is_written_is_read(entries, data):
    by_key = {key(name): targets for name, targets in entries.items()}
    if len(by_key) != len(entries):
        return
    lines = []
    for name, targets in entries.items():
        gaps = data.draw(
            st.lists(st.sampled_from([",", ", ", " ,\n\t", ",\n# note\n  ", ",\r\n "]), min_size=9, max_size=9)
        )
        lines.append(
            f"{name}: "
            + "".join(f"{gap if at else ''}{each}" for at, (gap, each) in enumerate(zip(gaps, targets, strict=False)))
        )
    read = parse("\n".join(lines))
    assert not read.warnings
    assert {name: list(targets) for name, targets in read.targets.items()} == by_key


@given(st.text(st.sampled_from('ab@:,"\\ \t\n\r#|/é\udc80'), max_size=200))
def test_any_text_is_read(text):
    read = parse(text)
    lines = text.count("\n") + 1
    for warning in read.warnings:
        number, _, complaint = warning.removeprefix("line ").partition(": ")
        assert 1 <= int(number) <= lines
        assert complaint
    assert all(targets for targets in read.targets.values())
