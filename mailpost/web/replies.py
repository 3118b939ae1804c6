"""What is answered to a request, and the header fields that keep a browser from doing anything else with it.

Every answer says that it is what it says it is (nosniff), that nobody is told of it (no-referrer), that no other site
may embed or read it, and what a page made of it may do: nothing, but for the two pages that are shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mailpost.mail.errors import ErrorKind, MailError

ALWAYS: Mapping[bytes, bytes] = {
    b"X-Content-Type-Options": b"nosniff",
    b"Referrer-Policy": b"no-referrer",
    b"Cross-Origin-Resource-Policy": b"same-origin",
    b"Cross-Origin-Opener-Policy": b"same-origin",
    b"X-DNS-Prefetch-Control": b"off",
    b"Permissions-Policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types 'none'"
)
"""Of the page that shows mail: its own files alone, and no text ever becomes HTML there."""
MESSAGE = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
"""Of the HTML of a message: nothing is loaded, no script runs, no form is sent; links open in a page of their own."""

_STATUS = {
    ErrorKind.NO_SUCH_FOLDER: 404,
    ErrorKind.NO_SUCH_USER: 404,
    ErrorKind.NOT_SELECTABLE: 404,
    ErrorKind.EXPUNGED: 404,
    ErrorKind.READ_ONLY: 403,
    ErrorKind.NO_PERMISSION: 403,
    ErrorKind.PRIVACY_REQUIRED: 403,
    ErrorKind.AUTHENTICATION_FAILED: 401,
    ErrorKind.LIMIT: 429,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.IN_USE: 503,
}
_SAFE_NAME = re.compile(r"[^A-Za-z0-9._ -]")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    body: bytes
    type: str = "application/json"
    status: int = 200
    policy: str = NOTHING
    """Content-Security-Policy."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Further header fields."""


class RefusedError(Exception):
    """A request that is not answered as it wishes: a status of HTTP, and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def as_json(value: Any) -> Reply:
    """A value as JSON."""
    return Reply(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


def refusal(status: int, text: str) -> Reply:
    """A sentence about what is wrong, as JSON."""
    found = as_json({"error": text})
    return Reply(found.body, status=status)


def failed(error: MailError) -> Reply:
    """What a store did not do."""
    return refusal(_STATUS.get(error.kind, 500 if error.kind is ErrorKind.CORRUPT else 409), error.text)


def download(name: str, octets: bytes) -> Reply:
    """A file to be kept, which no browser opens by itself. RFC: 6266 §4.3"""
    plain = _SAFE_NAME.sub("_", name)[:100].strip(". ") or "file"
    written = quote(name[:200].encode("utf-8", "replace").replace(b"\0", b""), safe="")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{written}"
    return Reply(octets, "application/octet-stream", fields={"Content-Disposition": disposition})
