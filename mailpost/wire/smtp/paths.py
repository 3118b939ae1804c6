"""Addresses in MAIL and RCPT.

More is taken than the grammar has where real addresses do: dots anywhere in a local part, underscores in a domain, a
name without a domain. Source routes are dropped.

RFC: 5321 §4.1.2 (grammar), §4.1.3 (address literals), App. C (source routes), 6531 §3.3 (UTF-8)
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

_UTF8 = "\u00a0-\U0010ffff"
_ATEXT = rf"A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{_UTF8}"
_DOMAIN = rf"[A-Za-z0-9_\-{_UTF8}]+(?:\.[A-Za-z0-9_\-{_UTF8}]+)*"
_PATH = re.compile(
    rf"""<
    (?: @{_DOMAIN} (?: ,@{_DOMAIN} )* : )?
    (?: [{_ATEXT}.]+ | "(?P<quoted> (?: [^"\\\x00-\x1f\x7f-\x9f] | \\[\x20-\x7e] )* )" )
    (?P<at> @ (?: {_DOMAIN} | \[ (?P<literal> [A-Za-z0-9:.]+ ) \] ) )?
    >""",
    re.VERBOSE,
)
_LOCAL = re.compile(rf"[{_ATEXT}.]+")
_DOT_STRING = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*")
LONGEST = 1_000
"""Characters of an address. RFC 5321 §4.5.3.1.3 asks for 256; the senders of lists are longer at times."""


def take_path(text: str) -> tuple[str, str] | None:
    """The address of a path, and what stands behind it; None for what is no path.

    A local part in quotes that needs none loses them, as both mean the same (RFC: 5321 §4.1.2).
    """
    if text.startswith("<>"):
        return "", text[2:]
    found = _PATH.match(text)
    if found is None or found.end() > LONGEST or not _is_literal(found["literal"]):
        return None
    at = found["at"] or ""
    if found["quoted"] is None:
        whole = found[0][1:-1]
        address = whole[whole.index(":") + 1 :] if whole.startswith("@") else whole
    else:
        address = quoted_if_needed(re.sub(r"\\(.)", r"\1", found["quoted"])) + at
    return address, text[found.end() :]


def quoted_if_needed(local: str) -> str:
    """A local part as it is written in an address."""
    if _DOT_STRING.fullmatch(local):
        return local
    return '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'


def _is_literal(literal: str | None) -> bool:
    if literal is None:
        return True
    try:
        if literal[:5].upper() == "IPV6:":
            IPv6Address(literal[5:])
        else:
            IPv4Address(literal)
    except ValueError:
        return False
    return True
