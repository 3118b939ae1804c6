"""One message, as the page shows it."""

from __future__ import annotations

import json
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailpost.service.democontent import messages
from mailpost.web import message
from mailpost.web.message import described, html_of, is_image, part_of, source_of

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


def rich() -> bytes:
    made = EmailMessage(policy=SMTP)
    made["From"] = "Ann Archer <ann@example.org>"
    made["To"] = "bob@example.org, Team: carla@example.net, dan@example.net;"
    made["Subject"] = "Grüße =?x?"
    made["Date"] = "Tue, 01 Jul 2003 10:52:37 +0200"
    made["Message-ID"] = "<1@example.org>"
    made.set_content("Hello!\n")
    made.add_alternative('<p>Hello!<img src="cid:sun"><img src="http://e/x">', subtype="html")
    html = made.get_body(("html",))
    assert isinstance(html, EmailMessage) or html is not None
    html.add_related(PNG, "image", "png", cid="<sun>")  # type: ignore[union-attr]
    made.add_attachment(b"a;b\n", "text", "csv", filename="Zahlen – 1.csv")
    inner = EmailMessage(policy=SMTP)
    inner["Subject"] = "inside"
    inner.set_content("within\n")
    inner.add_attachment(b"PK", "application", "zip", filename="x.zip")
    made.add_attachment(inner)
    return made.as_bytes()


def test_everything_of_a_message() -> None:
    raw = rich()
    told = described(raw)
    assert json.loads(json.dumps(told)) is not None
    assert told["from"] == [{"name": "Ann Archer", "address": "ann@example.org"}]
    assert told["to"] == [
        {"name": "", "address": "bob@example.org"},
        {"name": "Team", "address": ""},
        {"name": "", "address": "carla@example.net"},
        {"name": "", "address": "dan@example.net"},
    ]
    assert told["subject"] == "Grüße =?x?"
    assert (told["date"], told["size"], told["has_html"], told["text"]) == (1057049557, len(raw), True, "Hello!\n")
    assert told["spoken"] == "Message-ID: <1@example.org>"
    assert ["Subject", "Grüße =?x?"] in [list(each) for each in told["headers"]]
    assert [(each["number"], each["name"], each["image"], each["inline"]) for each in told["attachments"]] == [
        ("1.2.2", "part-1.2.2.png", True, True),
        ("2", "Zahlen – 1.csv", False, False),
        ("3", "inside.eml", False, False),
    ]
    assert [each["size"] for each in told["attachments"][:2]] == [len(PNG), 4]


def numbers(tree: dict[str, Any]) -> list[tuple[str, str]]:
    inside = [each for child in tree.get("children", ()) for each in numbers(child)]
    return [(tree["number"], tree["type"]), *inside]


def test_parts_have_the_numbers_that_imap_gives_them() -> None:
    raw = rich()
    found = numbers(described(raw)["tree"])
    assert found == [
        ("", "multipart/mixed"),
        ("1", "multipart/alternative"),
        ("1.1", "text/plain"),
        ("1.2", "multipart/related"),
        ("1.2.1", "text/html"),
        ("1.2.2", "image/png"),
        ("2", "text/csv"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
        ("3.2", "application/zip"),
    ]
    assert part_of(raw, "1.2.2") == ("part-1.2.2.png", "image/png", PNG)
    assert part_of(raw, "3.2") == ("x.zip", "application/zip", b"PK")
    name, kind, octets = part_of(raw, "3") or ("", "", b"")
    assert (name, kind) == ("inside.eml", "message/rfc822")
    assert octets.startswith(b"Subject: inside\r\n")
    for nothing in ("", "0", "9", "1.", "1.9", "a", "-1", "1" * 40, "²"):
        assert part_of(raw, nothing) is None


def test_a_message_without_parts() -> None:
    raw = b"Subject: only\r\nContent-Type: image/png\r\n\r\nxyz"
    told = described(raw)
    assert numbers(told["tree"]) == [("1", "image/png")]
    assert [(each["number"], each["image"]) for each in told["attachments"]] == [("1", False)]
    assert told["spoken"] == "Subject: only"
    assert part_of(raw, "1") == ("part-1.png", "image/png", b"xyz")
    around = (
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--"
    )
    assert numbers(described(around)["tree"]) == [("1", "message/rfc822"), ("1.1", "text/plain")]
    assert part_of(around, "1.1") == ("part-1.1.txt", "text/plain", b"x")
    empty = described(b"")
    assert (empty["subject"], empty["from"], empty["date"], empty["text"]) == ("", [], None, "")


def test_its_html_has_its_own_images_in_it() -> None:
    safe = html_of(rich())
    assert '<img src="data:image/png;base64,iVBORw0KGgp4' in safe.document
    assert safe.left_out == 1


def test_images_are_what_they_say(monkeypatch: Any) -> None:
    assert is_image("image/png", PNG)
    for kind, octets in (
        ("image/png", b"<svg onload=x()>"),
        ("image/svg+xml", PNG),
        ("text/html", PNG),
        ("image/", PNG),
    ):
        assert not is_image(kind, octets)
    monkeypatch.setattr(message, "LARGEST_IMAGES", 10)
    assert "data:" not in html_of(rich()).document


def test_long_things_are_cut(monkeypatch: Any) -> None:
    raw = b"Subject: " + b"s" * 9000 + b"\r\n" + b"X-Field: x\r\n" * 600 + b"\r\n" + b"t" * (1 << 20) + b"over"
    told = described(raw)
    assert (len(told["headers"]), len(told["headers"][0][1])) == (message.MOST_FIELDS, message.LONGEST_FIELD)
    assert told["text_cut"] and len(told["text"]) == message.LONGEST_TEXT
    assert source_of(raw).endswith("octets more]")
    assert source_of(b"a\xffb") == "a\ufffdb"
    monkeypatch.setattr(message, "MOST_PARTS", 2)
    many = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\nContent-Type: a/b\r\n\r\nx\r\n" * 5 + b"--a--"
    )
    told = described(many)
    assert len(told["tree"]["children"]) == 2 and told["tree"]["more"]
    assert len(told["attachments"]) == 2


def test_the_mail_of_the_demonstration() -> None:
    for each in messages(1_700_000_000):
        told = described(each.octets)
        assert json.dumps(told)
        for number, kind in numbers(told["tree"]):
            found = part_of(each.octets, number) if number else ("", kind, b"")
            assert found is not None and found[1] == kind
        if told["has_html"]:
            assert html_of(each.octets).document


@given(
    st.lists(
        st.sampled_from(
            [
                *(
                    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n",
                    b"--a\r\n",
                    b"--a--\r\n",
                    b"\r\n",
                    b"x",
                    b"\xff\0",
                ),
                *(b"Content-Type: message/rfc822\r\n\r\n", b"Subject: =?utf-8?b?/w==?=\r\n", b"To: a:b;,\r\n"),
                *(b"Content-Type: text/html\r\n", b"Content-Disposition: attachment; filename*=x'y'%ff\r\n"),
            ]
        ),
        max_size=30,
    ).map(b"".join)
)
def test_whatever_it_is_it_can_be_shown(raw: bytes) -> None:
    told = described(raw)
    assert json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
    for number, kind in numbers(told["tree"]):
        assert not number or (part_of(raw, number) or ("", "", b""))[1] == kind, number
    for each in told["attachments"]:
        assert part_of(raw, each["number"]) is not None
    assert source_of(raw) is not None
    html_of(raw)
