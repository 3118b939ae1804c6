"""Rules from plain values and from files: what they may be, and what is said of those that they may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailpost.faults.fault import ACTIONS, Fault, FaultError
from mailpost.faults.reading import fault_of, faults_of


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"command": "FETCH", "nth": 3, "drop_after": 512}, Fault(command="FETCH", nth=3, drop_after=512)),
        ({"bye_after": "2s"}, Fault(bye_after=2.0)),
        ({"delay": "300ms", "bandwidth": "64 kbit/s"}, Fault(delay=0.3, bandwidth=64_000)),
        ({"delay": 1, "bandwidth": "1Mbit/s"}, Fault(delay=1.0, bandwidth=1_000_000)),
        ({"delay": "1.5m"}, Fault(delay=90.0)),
        ({"bandwidth": 300}, Fault(bandwidth=300)),
        ({"mask": "IDLE"}, Fault(mask=("IDLE",))),
        ({"mask": ["IDLE", "AUTH=PLAIN"]}, Fault(mask=("IDLE", "AUTH=PLAIN"))),
        ({"certificate": "wrong name"}, Fault(certificate="wrong name")),
        ({"chaos": 7, "chance": 0.5}, Fault(chaos=7, chance=0.5)),
        ({"chaos": 0}, Fault(chaos=0)),
        ({"protocol": "pop3", "never_answer": True, "connection": 2}, Fault("pop3", connection=2, never_answer=True)),
        ({"drop_after": 0}, Fault(drop_after=0)),
    ],
)
def test_what_rules_can_be(values: dict[str, Any], expected: Fault) -> None:
    assert fault_of(values) == expected


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"comand": "FETCH", "drop_after": 1}, 'comand: unknown key; did you mean "command"?'),
        ({"zzz": 1, "drop_after": 1}, "zzz: unknown key; known are protocol, command, nth"),
        ({"command": "FETCH"}, "says not what goes wrong: answer, result"),
        ({"drop_after": 1, "answer": "NO"}, "answer and drop_after do not go together"),
        ({"nth": 1, "every": 2, "drop_after": 1}, "nth and every do not go together"),
        ({"protocol": "nntp", "drop_after": 1}, "protocol: must be one of imap, pop3"),
        ({"command": 3, "drop_after": 1}, "command: must be text"),
        ({"nth": "third", "drop_after": 1}, "nth: must be a number"),
        ({"drop_after": -1}, "drop_after: must be a number, not below 0"),
        ({"drop_after": True}, "drop_after: must be a number"),
        ({"never_answer": 1}, "never_answer: must be true or false"),
        ({"delay": "soon"}, "delay: must be a number of seconds, or text"),
        ({"delay": -1}, "delay: must be a number of seconds"),
        ({"bandwidth": 0}, "bandwidth: must be a number of bits"),
        ({"mask": [1]}, "mask: must be a list of names"),
        ({"mask": []}, "mask: must be a list of names"),
        ({"certificate": "old"}, "certificate: must be one of expired, not yet valid"),
        ({"chaos": 1, "chance": 2}, "chance: must be from 0 to 1"),
        ({"chaos": 1, "chance": "often"}, "chance: must be a number"),
        ({"expunge": 0}, "expunge: must be above 0"),
        ({"where": 1, "drop_after": 1}, "where: must be a function"),
    ],
)
def test_what_rules_cannot_be(values: dict[str, Any], said: str) -> None:
    with pytest.raises(FaultError) as problem:
        fault_of(values)
    assert said in str(problem.value)


FILE = """# comment
[[fault]]
command = "FETCH"
nth = 3
drop_after = 512

[[fault]]
protocol = "smtp"
command = "DATA"
every = 10
answer = '''
421-4.3.0 Later
421 4.3.0 Much later'''
[[fault]]
delay = "300ms"
bandwidth = "64 kbit/s"
"""


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(FILE)
    assert faults_of(file) == [
        Fault(command="FETCH", nth=3, drop_after=512),
        Fault(protocol="smtp", command="DATA", every=10, answer="421-4.3.0 Later\n421 4.3.0 Much later"),
        Fault(delay=0.3, bandwidth=64_000),
    ]


def test_all_that_is_wrong_in_a_file_is_said_at_once_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(FILE.replace("nth", "mth").replace("every = 10", "every = -1") + 'answer = "NO"\n[other]\n')
    with pytest.raises(FaultError) as problem:
        faults_of(file)
    assert str(problem.value).splitlines() == [
        f"{file}:18: other: unknown; rules are [[fault]]",
        f'{file}:4: fault: mth: unknown key; did you mean "nth"?',
        f"{file}:10: fault: every: must be a number, not below 0",
        f"{file}:14: fault: answer and delay and bandwidth do not go together: make two of it",
    ]


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"[[fault]\n", "not TOML"),
        (b"\xff", "not UTF-8"),
        (b"fault = 3\n", ":1: fault: each rule is one [[fault]]"),
        (b"\n[fault]\nnth = 3\n", ":2: fault: each rule is one [[fault]]"),
    ],
)
def test_files_that_are_none(tmp_path: Path, octets: bytes, said: str) -> None:
    file = tmp_path / "faults.toml"
    file.write_bytes(octets)
    with pytest.raises(FaultError) as problem:
        faults_of(file)
    assert str(file) in str(problem.value)
    assert said in str(problem.value)


ANY = (
    some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.lists(some.text(), max_size=2)
)


@given(some.dictionaries(some.sampled_from([*Fault.__dataclass_fields__, "other"]), ANY, max_size=6))
def test_any_values_are_a_rule_or_an_error_that_says_why(values: dict[str, Any]) -> None:
    try:
        fault = fault_of(values)
    except FaultError as problem:
        assert str(problem)
    else:
        assert fault.action in ACTIONS
        assert all(f"{name}=" in str(fault) for name in ACTIONS if values.get(name))


@given(some.integers(0, 5), some.integers(0, 5), some.integers(0, 5), some.integers(1, 30))
def test_whose_turn_it_is(nth: int, every: int, since: int, count: int) -> None:
    if sum(map(bool, (nth, every, since))) > 1:
        return
    due = [
        number for number in range(1, count + 1) if Fault(nth=nth, every=every, since=since, answer="x").is_due(number)
    ]
    everyone = list(range(1, count + 1))
    if nth:
        assert due == [number for number in everyone if number == nth]
    elif every:
        assert due == everyone[every - 1 :: every]
    else:
        assert due == everyone[max(0, since - 1) :]
