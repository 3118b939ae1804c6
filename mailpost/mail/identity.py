"""Identifiers that a message's octets give it: the same wherever it lies and whoever works them out, with no register.

EMAILID is a digest of the octets. THREADID is a digest of the Message-ID at the root of its conversation: the first of
References, else the first of In-Reply-To, else its own. So whoever answers with References, as RFC 5322 §3.6.4 asks, is
in one thread with what was answered, in whatever order and folders the messages come.

RFC: 8474 §5.1, §5.2
"""

from __future__ import annotations

import re
from hashlib import sha256

from mailpost.mail import headers

_MESSAGE_ID = re.compile(rb"<([^<>\s]{1,998})>")


def email_id(octets: bytes) -> bytes:
    """The EMAILID of a message: "M" and 32 hexadecimal digits."""
    return b"M" + _digest(octets)


def thread_id(header: bytes, email: bytes) -> bytes:
    """The THREADID of a message: "T" and 32 hexadecimal digits.

    Args:
        header: its header, or what there is in it of references, in-reply-to and message-id.
        email: its EMAILID, which stands for a Message-ID where there is none.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers.values(header):
        found.setdefault(name, value)
    for name in (b"references", b"in-reply-to", b"message-id"):
        root = _MESSAGE_ID.search(found.get(name, b""))
        if root is not None:
            return b"T" + _digest(root[1])
    return b"T" + _digest(email)


def _digest(octets: bytes) -> bytes:
    return sha256(octets).hexdigest()[:32].encode()  # processors have instructions for it: quicker than BLAKE2
