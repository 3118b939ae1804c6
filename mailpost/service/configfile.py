"""Reading a configuration from a TOML file, with all that is wrong in it said at once.

Which sections and keys there are, and of what type, is read off the dataclasses of `mailpost.service.config`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mailpost.delivery.outgoing.smarthost import Security
from mailpost.mail.errors import MailError
from mailpost.mail.foldertree import INBOX, canonical_name
from mailpost.protocols.lmtp.xclient import Trusted
from mailpost.service.config import SECTIONS, VERSION, Config, ConfigError, Folders, Pattern, Seconds, Size, Source
from mailpost.service.tomllines import Key, key_lines


def load(path: Path) -> Config:
    """Read a file; relative paths in it begin at its folder.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as problem:
        raise ConfigError([f"{path}: cannot be read: {problem.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8"]) from None
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """A configuration from its text; `path` is named in errors and is where relative paths begin."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        found = re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", str(problem), re.DOTALL)
        what, line = found.groups() if found else (str(problem), str(text.count("\n") + 1))
        raise ConfigError([f"{path}:{line}: not TOML: {what}"]) from None
    return _Reader(path, Source(path, key_lines(text))).config(values)


_VERSION_KEY = "version"


class _BadValueError(ValueError):
    """A value that its key cannot have; the text says what it can."""


class _Reader:
    """Turns the plain values of a file into a Config and gathers what is wrong."""

    def __init__(self, path: Path, source: Source) -> None:
        self._folder = path.absolute().parent
        self._source = source
        self._problems: list[tuple[int, str]] = []

    def config(self, values: Mapping[str, Any]) -> Config:
        """The Config, if there is nothing wrong."""
        self._require_version(values.get(_VERSION_KEY, VERSION))
        for name in values:
            if name not in SECTIONS and name != _VERSION_KEY:
                self._unknown((name,), list(SECTIONS), "section")
        sections: dict[str, Any] = {name: self._section(name, values.get(name, {})) for name in SECTIONS}
        config = None
        if not self._problems:
            config = Config(**sections, source=self._source)
            self._check(config)
        if config is None or self._problems:
            raise ConfigError([text for _, text in sorted(self._problems)])
        return config

    def _require_version(self, version: object) -> None:
        """Refuse a file of a newer format before anything else is found wrong in it."""
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            self._problem((_VERSION_KEY,), f"must be a number, such as {VERSION}")
        elif version > VERSION:
            known = f"this mailpost reads up to version {VERSION}"
            remedy = f"use the mailpost that it was written for, or write it anew from `--sample`, version {VERSION}"
            raise ConfigError([f"{self._source.place(_VERSION_KEY)}{version} is newer: {known}; {remedy}"])

    def _section(self, name: str, values: object) -> object:
        section = SECTIONS[name]
        if not isinstance(values, dict):
            self._problem((name,), f"must be a section: [{name}]")
            return None
        known: dict[str, Field[Any]] = {each.name: each for each in fields(section)}
        types = get_type_hints(section)
        read: dict[str, object] = {}
        for key, value in values.items():
            if key not in known:
                self._unknown((name, key), list(known), "key")
                continue
            try:
                read[key] = self._value(types[key], value)
            except _BadValueError as problem:
                self._problem((name, key), str(problem))
                read[key] = None
        for key, each in known.items():
            if key not in values and each.default is MISSING and each.default_factory is MISSING:
                self._problem((name, key), "is missing")
                read[key] = None
        return section(**read)

    def _value(self, kind: Any, value: object) -> object:
        if kind == Path | None:
            return self._folder / _text(value)
        if kind in (Pattern, Pattern | None):
            return str(self._folder / _pattern(value))
        if kind == Size | None:
            return _size(value)
        if get_origin(kind) is Literal:
            return _choice(value, get_args(kind))
        return _CONVERSIONS[kind](value)

    def _check(self, config: Config) -> None:
        """What only the values together can tell."""
        hostname, separator = config.server.hostname, config.storage.separator
        if not hostname.isascii() or not hostname.isprintable() or not hostname or " " in hostname:
            self._problem(("server", "hostname"), 'must be a name such as "mail.example.org"')
        if separator not in _SEPARATORS:
            self._problem(("storage", "separator"), 'must be one character such as "/" or "."')
        if config.tls.key and not config.tls.certificate:
            self._problem(("tls", "key"), "needs a tls.certificate")
        listened = [each.name for each in fields(config.listen) if getattr(config.listen, each.name)]
        for name in listened:
            if name.endswith("s") and not config.tls.certificate:
                self._problem(("listen", name), "needs a tls.certificate")
        if not listened:
            self._problem(("listen",), 'nothing to listen on; for example imap = ["tcp:1143:interface=127.0.0.1"]')
        if separator in _SEPARATORS:
            self._check_folders(config)
        try:
            Trusted(config.lmtp.trusted)
        except ValueError as problem:
            self._problem(("lmtp", "trusted"), f'must be addresses, networks or "unix": {problem}')
        if any(not domain or re.search(r"[\s@<>]", domain) for domain in config.recipients.domains):
            self._problem(("recipients", "domains"), 'must be names such as "example.org"')
        if re.search(r'[\s@<>"]', config.recipients.detail_separator):
            self._problem(("recipients", "detail_separator"), 'must be something such as "+", or "" for none')

        self._check_smarthost(config)

    def _check_smarthost(self, config: Config) -> None:
        settings = config.smarthost
        known = [each.value for each in Security]
        if settings.tls not in known:
            self._problem(("smarthost", "tls"), f"must be one of {', '.join(known)}")
        if not settings.host:
            return
        if re.search(r"[\s:/@]", settings.host):
            self._problem(("smarthost", "host"), 'must be a name such as "smtp.example.net", without port')
        if settings.queue is None:
            self._problem(("smarthost", "queue"), "is missing: the folder in which messages wait")
        if not settings.retry_after:
            self._problem(("smarthost", "retry_after"), 'must be times such as ["1m", "1h"]')
        if bool(settings.user) != (settings.password_file is not None):
            self._problem(("smarthost",), "user and password_file go together")

    def _check_folders(self, config: Config) -> None:
        named = {each.name: getattr(config.folders, each.name) for each in fields(Folders)}
        names = [name for name in named.values() if name]
        if len(set(names)) != len(names):
            self._problem(("folders",), "two of them have the same name")
        for use, name in named.items():
            try:
                if name and canonical_name(name, config.storage.separator) == INBOX:
                    self._problem(("folders", use), "must not be the INBOX")
            except MailError as problem:
                self._problem(("folders", use), problem.text)

    def _unknown(self, key: Key, known: list[str], what: str) -> None:
        near = get_close_matches(key[-1], known, 1, 0.5)
        elsewhere = [
            name for name, section in SECTIONS.items() if any(each.name == key[-1] for each in fields(section))
        ]
        if near:
            hint = f'did you mean "{near[0]}"?'
        elif what == "key" and elsewhere:
            hint = f"it belongs under [{elsewhere[0]}]"
        else:
            hint = f"known are {', '.join(known)}"
        self._problem(key, f"unknown {what}; {hint}")

    def _problem(self, key: Key, text: str) -> None:
        line = self._source.lines.get(key, self._source.lines.get(key[:1], 0))
        self._problems.append((line, self._source.place(*key) + text))


# -- single values


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise _BadValueError("must be text in quotes")
    return value


_SEPARATORS = frozenset("/.!$'+,:;<=>?@^_`|-()[]{}")
PLACEHOLDERS = ("{user}", "{local}", "{domain}")


def _pattern(value: object) -> str:
    text = _text(value)
    used = re.findall(r"\{[^}]*\}?|\}", text)
    unknown = [each for each in used if each not in PLACEHOLDERS]
    if unknown:
        raise _BadValueError(f'there is no "{unknown[0]}"; known are {", ".join(PLACEHOLDERS)}')
    if "{user}" not in used and not {"{local}", "{domain}"} <= set(used):
        raise _BadValueError("needs {user}, or {local} and {domain}: each user has a folder of their own")
    return text


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _BadValueError('must be a list of texts: ["...", "..."]')
    return tuple(value)


def _choice(value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise _BadValueError(f"must be {' or '.join(json.dumps(each) for each in choices)}")
    return str(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _BadValueError("must be true or false")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _BadValueError("must be a number above 0")
    return value


_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _size(value: object) -> Size:
    found = re.fullmatch(r"(\d{1,12})([KMG])", value) if isinstance(value, str) else None
    octets = int(found[1]) * _UNITS[found[2]] if found else value
    if not isinstance(octets, int) or isinstance(octets, bool) or octets < 1:
        raise _BadValueError('must be a number of octets above 0, or text such as "64K" or "50M"')
    return Size(octets)


def _seconds(value: object) -> Seconds:
    found = re.fullmatch(r"(\d{1,9})([smhd])", value) if isinstance(value, str) else None
    seconds = int(found[1]) * _TIMES[found[2]] if found else value
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds < 10**9:
        raise _BadValueError('must be a number of seconds above 0, or text such as "90s" or "30m"')
    return Seconds(seconds)


def _several_seconds(value: object) -> tuple[Seconds, ...]:
    if not isinstance(value, list):
        raise _BadValueError('must be a list of times: ["1m", "1h"]')
    return tuple(map(_seconds, value))


_CONVERSIONS: dict[object, Callable[[object], object]] = {
    str: _text,
    bool: _flag,
    int: _count,
    tuple[str, ...]: _texts,
    Size: _size,
    Seconds: _seconds,
    tuple[Seconds, ...]: _several_seconds,
}
