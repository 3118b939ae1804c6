"""Whether two servers agree about messages, as far as the RFCs ask it."""

from __future__ import annotations

import re

from tests.acceptance.differential.normal import Seen

_ALWAYS = {b"UID", b"FLAGS", b"MODSEQ"}
_RECENT = {b"\\recent"}
_UNREADABLE = "\ufffd".encode()
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r"})
_HEADER_WITHIN = re.compile(rb"\A(?:(?:Subject|From): \S+ )+")


def told_more(text: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether ours told all that the other told of messages, and besides only what may always be told."""
    return all(
        _agree(item, ours.fetched.get(message, {}).get(item), value)
        or (item == b"UID" and text.startswith(b"FETCH ") and item not in ours.fetched.get(message, {}))
        for message, items in theirs.fetched.items()
        for item, value in items.items()
        if message not in ours.expunged
    ) and all(
        items.keys() - theirs.fetched.get(message, {}).keys() <= _ALWAYS for message, items in ours.fetched.items()
    )


def _agree(item: bytes, ours: object, theirs: object) -> bool:
    if ours == theirs:
        return True
    if item == b"FLAGS" and isinstance(ours, frozenset) and isinstance(theirs, frozenset):
        # Which of several sessions sees a message as recent is undefined (RFC 3501 §2.3.2).
        return ours - _RECENT == theirs - _RECENT
    if (ours is None and item.startswith((b"BODY[", b"BINARY["))) or (
        ours == b"0" and item.startswith(b"BINARY.SIZE[")
    ):
        # Dovecot has a part 1.1 in a part 1 that is text.
        return not theirs or item.partition(b"[")[2].startswith((b"1.1", b"2.1"))
    if (
        item.startswith(b"BODY[HEADER.FIELDS (")
        and isinstance(ours, bytes)
        and theirs in (ours + b"\r", ours + b"\r\n")
    ):
        # A message that has no body and no empty line (RFC 9051 §6.4.5): Dovecot adds one to the fields that are asked
        # for, but none to the others (HEADER.FIELDS.NOT).
        return True
    if item.startswith((b"BINARY[]", b"BINARY.SIZE[]")):
        # Only leaf parts are asked for (RFC 9051 §6.4.5): Dovecot decodes all parts of a whole message.
        return bool(ours) and bool(theirs)
    if isinstance(ours, bytes) and isinstance(theirs, bytes) and b"\0" in ours and item != b"PREVIEW":
        # No literal but literal8 has a place for NUL (RFC 3501 §9 CHAR8): mailpost sends the message as it is.
        return ours.replace(b"\0", b"\x80") == theirs
    if item == b"PREVIEW":
        return isinstance(ours, bytes) and isinstance(theirs, bytes) and _alike(ours, theirs)
    return False


def _alike(ours: bytes, theirs: bytes) -> bool:
    """Whether two previews begin with the same words.

    How long they are and what they leave out is the server's choice (RFC 8970 §3.2, §3.3): Dovecot shows the header of
    a message within, control characters, and U+FFFD for octets that are not of the charset.
    """
    shown = _HEADER_WITHIN.sub(b"", theirs).translate(None, _CONTROLS)
    one, other = (b"".join(each.lower().split()) for each in (ours, shown))
    if _UNREADABLE in other:
        return re.match(b".*".join(map(re.escape, other.split(_UNREADABLE))), one) is not None
    return one.startswith(other) or other.startswith(one)
