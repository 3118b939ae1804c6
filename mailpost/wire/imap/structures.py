"""ENVELOPE and BODYSTRUCTURE as octets ready for the wire, and the summary of a message, which keeps them.

Names that compare without case (types, parameter names, encodings) go in capitals; values as they are in the message.
Text with 8-bit octets, which no quoted string may hold, always goes as a literal.

RFC: 3501 §7.4.2, 9051 §7.5.2
"""

from __future__ import annotations

from collections.abc import Sequence

from mailpost.mail import headers
from mailpost.mail.address import Address
from mailpost.mail.contentfields import Parameters
from mailpost.mail.dates import parse_date
from mailpost.mail.encodings import casemapped, decode_header
from mailpost.mail.envelope import Envelope, envelope
from mailpost.mail.identity import email_id, thread_id
from mailpost.mail.mime import Part, parse
from mailpost.mail.preview import preview
from mailpost.mail.summary import KEPT_FIELDS, Summary
from mailpost.wire.imap.writer import nstring, string

_SEARCHED = (b"subject", b"from", b"to", b"cc", b"bcc")


def envelope_octets(value: Envelope) -> bytes:
    """The parenthesised ENVELOPE. RFC: 3501 §7.4.2 (ENVELOPE)"""
    from_ = _addresses(value.from_)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(value.date),
        nstring(value.subject),
        from_,
        from_ if value.sender == value.from_ else _addresses(value.sender),
        from_ if value.reply_to == value.from_ else _addresses(value.reply_to),
        _addresses(value.to),
        _addresses(value.cc),
        _addresses(value.bcc),
        nstring(value.in_reply_to),
        nstring(value.message_id),
    )


def _addresses(addresses: Sequence[Address]) -> bytes:
    """NIL, or the addresses in parentheses with nothing between them."""
    if not addresses:
        return b"NIL"
    return b"(%b)" % b"".join(
        b"(%b %b %b %b)" % (nstring(each.name), nstring(each.route), nstring(each.mailbox), nstring(each.host))
        for each in addresses
    )


def bodystructure_octets(part: Part, octets: bytes, extensions: bool = True) -> bytes:
    """The parenthesised BODYSTRUCTURE of a part, or BODY without extension data.

    Args:
        part: from `mail.mime.parse(octets)`.
        octets: the whole message.
        extensions: with MD5, disposition, language and location, and the parameters of multiparts.

    RFC: 3501 §7.4.2 (BODYSTRUCTURE)
    """
    if part.media_type == "multipart":
        pieces = [b"".join(bodystructure_octets(child, octets, extensions) for child in part.children)]
        pieces.append(_word(part.subtype))
        if extensions:
            pieces.append(_parameters(part.parameters))
    else:
        pieces = _single(part, octets, extensions)
        if extensions:
            pieces.append(nstring(part.md5))
    if extensions:
        pieces += (_disposition(part), _languages(part.language), nstring(part.location))
    return b"(%b)" % b" ".join(pieces)


def _single(part: Part, octets: bytes, extensions: bool) -> list[bytes]:
    """body-type-basic, body-type-text or body-type-msg, without its parentheses."""
    pieces = [
        _word(part.media_type),
        _word(part.subtype),
        _parameters(part.parameters),
        nstring(part.content_id),
        nstring(part.description),
        _word(part.encoding),
        b"%d" % (part.end - part.body),
    ]
    # To an IMAP4rev1 client message/global is a part like any other. RFC: 3501 §9 (media-message)
    message = part.message if part.subtype == "rfc822" else None
    if message is not None:
        pieces.append(envelope_octets(envelope(octets, message)))
        pieces.append(bodystructure_octets(message, octets, extensions))
    if message is not None or part.media_type == "text":
        pieces.append(b"%d" % part.lines)
    return pieces


def _word(word: str) -> bytes:
    return string(word.upper().encode())


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join(b"%b %b" % (string(name.upper()), string(value)) for name, value in parameters)


def _disposition(part: Part) -> bytes:
    if part.disposition is None:
        return b"NIL"
    kind, parameters = part.disposition
    return b"(%b %b)" % (string(kind.upper()), _parameters(parameters))


def _languages(languages: Sequence[bytes]) -> bytes:
    return b"(%b)" % b" ".join(map(string, languages)) if languages else b"NIL"


def summarise(octets: bytes) -> Summary:
    """All that is worth remembering of a message (a `mail.summary.Summariser`). Never fails.

    Args:
        octets: the whole message with CRLF line ends.
    """
    tree = parse(octets)
    found = envelope(octets)
    header = headers.select(octets[: tree.body], KEPT_FIELDS)
    texts: dict[bytes, list[str]] = {name: [] for name in _SEARCHED}
    for name, raw in headers.values(header):
        if name in texts:
            texts[name].append(casemapped(decode_header(headers.unfolded(raw))))
    subject, from_, to, cc, bcc = ("\n".join(texts[name]) for name in _SEARCHED)
    sent = parse_date(found.date) if found.date else None
    email = email_id(octets)
    return Summary(
        size=len(octets),
        envelope=envelope_octets(found),
        bodystructure=bodystructure_octets(tree, octets),
        header=header,
        sent=sent.seconds if sent else None,
        sent_day=sent.day if sent else None,
        subject=subject,
        from_=from_,
        to=to,
        cc=cc,
        bcc=bcc,
        email_id=email,
        thread_id=thread_id(header, email),
        preview=string(preview(octets, tree).encode("utf-8", "replace")),
    )
