"""One message as the page shows it: plain values, ready for JSON. All of it takes time: for a thread."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from mailpost.mail import headers
from mailpost.mail.content import content_id, file_name, is_text, leaves, octets_of, text_of
from mailpost.mail.dates import parse_date
from mailpost.mail.encodings import decode_header
from mailpost.mail.envelope import envelope
from mailpost.mail.mime import Part, parse
from mailpost.mail.sections import locate
from mailpost.web.people import people
from mailpost.web.safehtml import SafeHtml, safe_html

MOST_FIELDS = 500
"""Header fields shown."""
LONGEST_FIELD = 8 << 10
"""Characters of one."""
LONGEST_TEXT = 1 << 20
"""Characters of text, and of source, that are shown. All of it can be downloaded."""
MOST_PARTS = 1000
"""Parts shown."""
LARGEST_IMAGES = 12 << 20
"""Octets of the images that are shown in the HTML of a message."""
IMAGE_TYPES = {
    "png": b"\x89PNG\r\n\x1a\n",
    "gif": b"GIF8",
    "jpeg": b"\xff\xd8\xff",
    "webp": b"RIFF",
}
"""Subtypes of images that every browser shows and that hold no script, with their first octets."""

Json = dict[str, Any]


def described(raw: bytes) -> Json:
    """All that is shown of a message but its HTML and its source."""
    tree = parse(raw)
    about = envelope(raw)
    sent = parse_date(about.date) if about.date else None
    text = "\n".join(_texts(raw, tree, "plain"))
    return {
        "subject": decode_header(about.subject or b"").strip(),
        "from": people(about.from_),
        "to": people(about.to),
        "cc": people(about.cc),
        "bcc": people(about.bcc),
        "reply_to": people(about.reply_to) if about.reply_to != about.from_ else [],
        "date": sent.seconds if sent else None,
        "spoken": _spoken(raw, tree),
        "size": len(raw),
        "headers": _fields(raw, tree),
        "text": text[:LONGEST_TEXT],
        "text_cut": len(text) > LONGEST_TEXT,
        "has_html": any(is_text(part) and part.subtype == "html" for part in leaves(tree)),
        "tree": _branch(raw, tree),
        "attachments": _attachments(raw, tree),
    }


def html_of(raw: bytes) -> SafeHtml:
    """The HTML of a message, harmless, with its own images in it. Raises NotShownError."""
    tree = parse(raw)
    html = "\n".join(_texts(raw, tree, "html"))
    return safe_html(html, _images(raw, tree) if "cid:" in html.lower() else {})


def source_of(raw: bytes) -> str:
    """The message as it is, cut where it becomes too long to be looked at."""
    text = raw[:LONGEST_TEXT].decode("utf-8", "replace")
    return text if len(raw) <= LONGEST_TEXT else f"{text}\n\n[{len(raw) - LONGEST_TEXT} octets more]"


def part_of(raw: bytes, number: str) -> tuple[str, str, bytes] | None:
    """Name, media type and decoded octets of the part with this number ("1.2"); None where there is none."""
    digits = number.split(".")
    if not all(each.isascii() and each.isdigit() and len(each) < 6 for each in digits):
        return None
    tree = parse(raw)
    part = locate(tree, tuple(map(int, digits)))
    if part is None:
        return None
    whole = part.children or part.message is not None
    octets = raw[part.body : part.end] if whole else octets_of(raw, part)
    return file_name(part) or _made_up_name(raw, number, part), f"{part.media_type}/{part.subtype}", octets


def is_image(media_type: str, octets: bytes) -> bool:
    """Whether it is what it says: an image that can be shown without harm."""
    kind, _, subtype = media_type.partition("/")
    return kind == "image" and subtype in IMAGE_TYPES and octets.startswith(IMAGE_TYPES[subtype])


def _texts(raw: bytes, tree: Part, subtype: str) -> Iterator[str]:
    return (text_of(raw, part) for part in leaves(tree) if is_text(part) and part.subtype == subtype)


def _images(raw: bytes, tree: Part) -> dict[str, str]:
    """Content-ID -> `data:` URL."""
    found: dict[str, str] = {}
    room = LARGEST_IMAGES
    for part in leaves(tree):
        name = content_id(part)
        if not name or part.media_type != "image" or part.end - part.body > 2 * room:
            continue
        octets = octets_of(raw, part)
        if len(octets) <= room and is_image(f"image/{part.subtype}", octets):
            room -= len(octets)
            found[name] = f"data:image/{part.subtype};base64,{base64.b64encode(octets).decode()}"
    return found


def _fields(raw: bytes, tree: Part) -> list[tuple[str, str]]:
    """Names as they are written, and decoded values, of the message's own header."""
    found = []
    for name, start, end in headers.fields(raw, 0, tree.body):
        if not name:
            continue
        written, _, value = raw[start:end].partition(b":")
        text = decode_header(headers.unfolded(value))
        found.append((written.decode("latin-1").strip(), text[:LONGEST_FIELD]))
        if len(found) == MOST_FIELDS:
            break
    return found


def _root_number(tree: Part) -> str:
    """A message that is no multipart is its own part 1. RFC: 3501 §6.4.5"""
    return "" if tree.children else "1"


def _numbered(part: Part, number: str) -> Iterator[tuple[str, Part]]:
    """A part and all in it, attached messages too, each with the number by which IMAP knows it."""
    yield number, part
    for name, child in _children(part, number):
        yield from _numbered(child, name)


def _children(part: Part, number: str) -> list[tuple[str, Part]]:
    """What is directly in a part, with numbers. The message in a message part is passed over: it has its number."""
    inside = part.message if part.message is not None else part
    before = f"{number}." if number else ""
    if inside.children:
        return [(f"{before}{at}", child) for at, child in enumerate(inside.children, 1)]
    return [(f"{before}1", inside)] if inside is not part else []


def _spoken(raw: bytes, tree: Part) -> str:
    """A line by which a message is found in what was said when it came: its identifier's, else its subject's."""
    found: dict[bytes, str] = {}
    for name, start, end in headers.fields(raw, 0, tree.body):
        if name in (b"message-id", b"subject"):
            found.setdefault(name, raw[start:end].partition(b"\n")[0].decode("utf-8", "replace").strip())
    return found.get(b"message-id") or found.get(b"subject", "")


def _branch(raw: bytes, tree: Part) -> Json:
    """The tree, each part with what is told of it."""
    left = MOST_PARTS

    def branch(number: str, part: Part) -> Json:
        nonlocal left
        told: Json = {
            "number": number,
            "type": f"{part.media_type}/{part.subtype}",
            "name": file_name(part),
            "encoding": part.encoding,
            "charset": (part.parameter(b"charset") or b"").decode("latin-1") if part.media_type == "text" else "",
            "disposition": part.disposition[0].decode("latin-1").lower() if part.disposition else "",
            "cid": content_id(part),
            "size": part.end - part.body,
        }
        if part.message is not None:
            subject = headers.value(raw, b"subject", part.message.start, part.message.body)
            told["subject"] = decode_header(subject or b"")
        children = []
        for name, child in _children(part, number):
            left -= 1
            if left < 0:
                told["more"] = True
                break
            children.append(branch(name, child))
        if children:
            told["children"] = children
        return told

    return branch(_root_number(tree), tree)


def _attachments(raw: bytes, tree: Part) -> Sequence[Json]:
    """Everything that is not text to be read: files, images of the HTML, attached messages."""
    found: list[Json] = []
    own = {id(part) for part in leaves(tree)}
    for number, part in _numbered(tree, _root_number(tree)):
        if id(part) not in own or is_text(part):
            continue
        octets = b"" if part.message is not None else octets_of(raw, part)
        media_type = f"{part.media_type}/{part.subtype}"
        found.append(
            {
                "number": number,
                "name": file_name(part) or _made_up_name(raw, number, part),
                "type": media_type,
                "size": len(octets) or part.end - part.body,
                "image": is_image(media_type, octets),
                "inline": bool(content_id(part)),
            }
        )
        if len(found) == MOST_PARTS:
            break
    return found


def _made_up_name(raw: bytes, number: str, part: Part) -> str:
    """A name for the file of a part that has none."""
    if part.message is not None:
        subject = headers.value(raw, b"subject", part.message.start, part.message.body)
        return f"{decode_header(subject or b'')[:80].strip() or 'message'}.eml"
    endings = {"jpeg": "jpg", "plain": "txt", "calendar": "ics", "delivery-status": "txt"}
    ending = endings.get(part.subtype, part.subtype if part.subtype.isalnum() else "bin")
    return f"part-{number}.{ending}"
