"""What the tests of IMAP's grammar share: octets through the decoder, in any pieces."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import strategies as st

from mailpost.wire.imap.commands import Command, parse
from mailpost.wire.imap.decoder import CommandLine, Decoder, Event, Limits, LiteralData, LiteralOffered


def events(pieces: Iterable[bytes], limits: Limits | None = None, accept: bool = True) -> list[Event]:
    """All events of octets that come in these pieces; offers are answered, the data of one message is joined."""
    decoder = Decoder(limits or Limits())
    found: list[Event] = []
    for piece in pieces:
        decoder.feed(piece)
        while (event := decoder.next_event()) is not None:
            if isinstance(event, LiteralOffered):
                (decoder.accept if accept else decoder.refuse)()
            last = found[-1] if found else None
            if isinstance(event, LiteralData) and isinstance(last, LiteralData) and not last.last:
                found[-1] = LiteralData(last.octets + event.octets, event.last)
            else:
                found.append(event)
    return found


def command_line(octets: bytes) -> CommandLine:
    """The only command in these octets (without the last CRLF)."""
    wide = Limits(line=1 << 24, literal=1 << 24, command=1 << 24)
    (found,) = (event for event in events([octets + b"\r\n"], wide) if isinstance(event, CommandLine))
    return found


def parsed(octets: bytes) -> Command:
    """The value of a command given without tag and last CRLF."""
    return parse(command_line(b"a " + octets)).command


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """The octets in pieces that begin at these places (modulo their number)."""
    ends = sorted({place % (len(octets) + 1) for place in places} | {0, len(octets)})
    return [octets[low:high] for low, high in pairwise(ends)]


@st.composite
def written(draw: st.DrawFn, value: bytes) -> bytes:
    """A string in any of the forms a client may choose."""
    forms = ["{%d}", "{%d+}"]
    if value and all(33 <= octet < 127 and octet not in b'(){%*"\\]' for octet in value):
        forms.append("atom")
    if not any(octet in b"\x00\r\n" for octet in value):
        forms.append("quoted")
    form = draw(st.sampled_from(forms))
    if form == "atom":
        return value
    if form == "quoted":
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return form.encode() % len(value) + b"\r\n" + value
