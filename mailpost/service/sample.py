"""A complete configuration file with a word on every key, made from the dataclasses that read it."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from textwrap import dedent, wrap
from typing import Any

from mailpost.service.config import SECTIONS, VERSION, Listen, Size

_HEADING = """\
mailpost reads this with `twistd -n mailpost --config mailpost.toml`; with --check it says what is wrong. A key in a
comment shows what holds without it, or an example.
"""
_VERSION = "The version of this file's format. A mailpost that does not know it yet refuses the file."


def sample() -> str:
    """The text of the file. What it says is valid: it could be served as it stands, but for its paths and names."""
    lines = [*_comment(_HEADING), "", *_comment(_VERSION), f"version = {VERSION}"]
    for name, section in SECTIONS.items():
        lines += ["", *_comment(inspect.getdoc(section) or ""), f"[{name}]"]
        texts = _field_texts(section)
        for each in fields(section):
            lines += _comment(texts[each.name])
            lines += _setting(each, section)
    return "\n".join(lines) + "\n"


def _setting(each: Field[Any], section: type[Any]) -> Iterator[str]:
    example = each.metadata.get("example", each.default)
    active = each.default is MISSING or section is Listen or each.name in {"file", "hostname", "certificate", "key"}
    yield f"{'' if active else '# '}{each.name} = {_toml(example, each)}"


def _toml(value: object, each: Field[Any]) -> str:
    if isinstance(value, tuple) and "Seconds" in str(each.type):
        return f"[{', '.join(json.dumps(_seconds_text(item)) for item in value)}]"
    if isinstance(value, tuple):
        return f"[{', '.join(json.dumps(item) for item in value)}]"
    if isinstance(value, int) and not isinstance(value, bool) and "Size" in str(each.type):
        return json.dumps(_size_text(Size(value)))
    if isinstance(value, int) and "Seconds" in str(each.type):
        return json.dumps(_seconds_text(value))
    return json.dumps(str(value) if isinstance(value, Path) else value)


def _seconds_text(seconds: int) -> str:
    unit = 86_400 if seconds % 86_400 == 0 else 3600 if seconds % 3600 == 0 else 60 if seconds % 60 == 0 else 1
    return f"{seconds // unit}{ {86_400: 'd', 3600: 'h', 60: 'm', 1: 's'}[unit] }"


def _size_text(size: Size) -> str:
    return f"{size >> 20}M" if size % (1 << 20) == 0 else f"{size >> 10}K"


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in wrap(" ".join(text.split()), 116))


def _field_texts(section: type[Any]) -> dict[str, str]:
    """The docstring below each field; they are in the source only."""
    (body,) = ast.parse(dedent(inspect.getsource(section))).body
    texts: dict[str, str] = {}
    name = ""
    for statement in body.body if isinstance(body, ast.ClassDef) else []:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=found)):
                name = found
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                texts[name] = text
    return texts
