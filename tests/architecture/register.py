"""Reads the register of RFCs, and what the code cites of them."""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_CITED = re.compile(r"(?<![\d.])(\d{4})((?:[\s,(]*§§?\d+(?:\.\d+)*)+)")
_ALSO = re.compile(r"RFC:?[^\n]*")


class Claim(NamedTuple):
    """One RFC of the register."""

    number: str
    title: str
    sections: list[str]
    capabilities: list[str]


def claims() -> list[Claim]:
    """The register, in its order."""
    table = tomllib.loads((ROOT / "docs" / "rfcs.toml").read_text())
    return [Claim(n, row["title"], row["sections"], row.get("capability", [])) for n, row in table.items()]


def citations(folder: str) -> dict[str, set[str]]:
    """RFC number -> sections cited in the Python files below a folder; the number alone counts as section ""."""
    cited: dict[str, set[str]] = {}
    for path in (ROOT / folder).rglob("*.py"):
        text = path.read_text()
        for number, sections in _CITED.findall(text):
            cited.setdefault(number, {""}).update(re.findall(r"\d+(?:\.\d+)*", sections))
        for line in _ALSO.findall(text):
            for number in re.findall(r"(?<![\d.§])(\d{4})(?![\d.])", line):
                cited.setdefault(number, {""})
    return cited


def support_table() -> str:
    """docs/support.md as the register has it."""
    rows = [
        f"| [{claim.number}](https://www.rfc-editor.org/rfc/rfc{claim.number}) | {claim.title} "
        f"| {', '.join(f'`{name}`' for name in claim.capabilities)} | {', '.join(claim.sections)} |"
        for claim in claims()
    ]
    return "\n".join(
        [
            "# What mailpost supports",
            "",
            "Made from `docs/rfcs.toml` by `python -m tests.architecture.support`.",
            "",
            "| RFC | subject | announced as | sections cited in the code |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )
