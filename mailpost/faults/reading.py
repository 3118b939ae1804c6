"""Rules from plain values, as they stand in a TOML file or are given as keywords; all that is wrong is said at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from random import randrange
from typing import Any, get_args

from mailpost.faults.fault import BadCertificate, Fault, FaultError
from mailpost.service.tomllines import key_lines

TABLE = "fault"
"""Each rule is one `[[fault]]`."""
_TIMES = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_RATES = {"": 1, "k": 1000, "M": 1_000_000}
_NAMES = [each.name for each in fields(Fault)]


def fault_of(values: Mapping[str, Any]) -> Fault:
    """A rule of these fields of `Fault`; times may be text such as "300ms", a bandwidth such as "64 kbit/s";
    with `chaos=True` a seed is made up.

    Raises:
        FaultError: with all that is wrong, a line each, which begin with the key.
    """
    read: dict[str, Any] = {}
    problems = []
    for key, value in values.items():
        if key not in _NAMES:
            near = get_close_matches(key, _NAMES, 1, 0.5)
            problems.append(
                f"{key}: unknown key; " + (f'did you mean "{near[0]}"?' if near else f"known are {', '.join(_NAMES)}")
            )
            continue
        try:
            read[key] = _READERS.get(key, _count)(value)
        except ValueError as problem:
            problems.append(f"{key}: {problem}")
    if problems:
        raise FaultError("\n".join(problems))
    return Fault(**read)


def faults_of(path: Path) -> list[Fault]:
    """The rules of a file.

    Raises:
        FaultError: with all that is wrong, a line each: file, line of the file, key.
    """
    try:
        text = path.read_bytes().decode()
        values = tomllib.loads(text)
    except OSError as problem:
        raise FaultError(f"{path}: cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise FaultError(f"{path}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as problem:
        raise FaultError(f"{path}: not TOML: {problem}") from None
    lines = key_lines(text)
    problems = [
        f"{path}:{lines.get((key,), 1)}: {key}: unknown; rules are [[{TABLE}]]" for key in values if key != TABLE
    ]
    tables = values.get(TABLE, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise FaultError(f"{path}:{lines.get((TABLE,), 1)}: {TABLE}: each rule is one [[{TABLE}]]")
    found = []
    for number, table in enumerate(tables):
        try:
            found.append(fault_of(table))
        except FaultError as problem:
            for each in str(problem).splitlines():
                here = (TABLE, str(number))
                line = lines.get((*here, each.partition(":")[0]), lines.get(here, 1))
                problems.append(f"{path}:{line}: {TABLE}: {each}")
    if problems:
        raise FaultError("\n".join(problems))
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError('must be text, such as "FETCH"')
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("must be a number, not below 0")
    return value


def _seconds(value: object) -> float:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?) ?(ms|s|m|h)", value) if isinstance(value, str) else None
    seconds = float(found[1]) * _TIMES[found[2]] if found else value
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
        raise ValueError('must be a number of seconds, or text such as "300ms" or "2s"')
    return float(seconds)


def _rate(value: object) -> int:
    found = re.fullmatch(r"(\d{1,9}) ?([kM]?)bit/s", value) if isinstance(value, str) else None
    rate = int(found[1]) * _RATES[found[2]] if found else value
    if not isinstance(rate, int) or isinstance(rate, bool) or rate < 1:
        raise ValueError('must be a number of bits a second, or text such as "64 kbit/s"')
    return rate


def _names(value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(isinstance(each, str) for each in names):
        raise ValueError('must be a list of names, such as ["IDLE", "AUTH=PLAIN"]')
    return tuple(names)


def _certificate(value: object) -> str:
    choices = get_args(BadCertificate)
    if value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    return str(value)


def _chance(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("must be a number from 0 to 1")
    return float(value)


def _seed(value: object) -> int:
    return randrange(1_000_000) if value is True else _count(value)


def _predicate(value: object) -> object:
    if not callable(value):
        raise ValueError("must be a function of a conversation and a command")
    return value


_READERS: dict[str, Callable[[object], object]] = {
    **dict.fromkeys(("protocol", "command", "user", "answer", "result", "insert"), _text),
    **dict.fromkeys(("unfinished_literal", "never_answer", "duplicate_uids"), _flag),
    **dict.fromkeys(("delay", "bye_after"), _seconds),
    "bandwidth": _rate,
    "mask": _names,
    "certificate": _certificate,
    "chance": _chance,
    "chaos": _seed,
    "where": _predicate,
}
"""By key; the others are numbers."""
