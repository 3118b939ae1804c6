"""On which line of a TOML text each key stands: `tomllib` does not say, and an error message should.

Only for texts that `tomllib` has read: what cannot be there is not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count

_TOKEN = re.compile(
    r"""
    (?P<space> [^\S\n]+ | \#[^\n]* ) |
    (?P<newline> \n ) |
    (?P<text> \"\"\"(?:[^\\]|\\.)*?\"{3,5} | '''.*?'{3,5} | "(?:[^"\\\n]|\\.)*" | '[^'\n]*' ) |
    (?P<bare> [A-Za-z0-9_+:-]+ ) |
    (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)

Key = tuple[str, ...]


def key_lines(text: str) -> Mapping[Key, int]:
    """The line, from 1, of every key and table header by its full dotted name; keys of inline tables have none.

    The tables of an array are named by their numbers, from 0: `("fault", "0", "command")`.
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    statement: list[tuple[str, str]] = []
    here = begun = 1
    depth = 0
    behind_equals = False
    for match in _TOKEN.finditer(text + "\n"):
        kind, token = str(match.lastgroup), match.group()
        if kind == "newline" and depth == 0:
            if statement:
                table = _note(statement, table, begun, lines)
            statement, behind_equals = [], False
        elif kind == "mark" and behind_equals:
            depth += (token in "[{") - (token in "]}")
        elif kind not in {"space", "newline"} and not behind_equals:
            begun = begun if statement else here
            statement.append((kind, token))
            behind_equals = token == "="
        here += token.count("\n")
    return lines


def _note(statement: list[tuple[str, str]], table: Key, line: int, lines: dict[Key, int]) -> Key:
    """Take down the key of one statement; answers with the table that is open behind it."""
    header = statement[0] == ("mark", "[")
    name = [token[1:-1] if kind == "text" else token for kind, token in statement if kind in {"text", "bare"}]
    full = tuple(name) if header else (*table, *name)
    if statement[:2] == [("mark", "[")] * 2:
        full = (*full, next(str(number) for number in count() if (*full, str(number)) not in lines))
    for length in range(1, len(full) + 1):
        lines.setdefault(full[:length], line)
    return full if header else table
