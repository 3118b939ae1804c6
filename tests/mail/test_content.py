from mailpost.mail.content import content_id, file_name, is_text, leaves, octets_of, text_of
from mailpost.mail.mime import parse

MESSAGE = b"""\
Subject: several parts
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe

--b
Content-Type: text/html

<p>Hello
--b--
--a
Content-Type: text/plain; name="notes.txt"

a file
--a
Content-Type: text/plain
Content-Disposition: ATTACHMENT

attached
--a
Content-Type: image/png
Content-ID: <sun@example.org>
Content-Disposition: inline; filename*=utf-8''s%C3%BCn.png
Content-Transfer-Encoding: base64

iVBO
Rw==
--a
Content-Type: application/x-thing
Content-Transfer-Encoding: x-unknown

as it is
--a
Content-Type: message/rfc822

Subject: inside

text
--a--
""".replace(b"\n", b"\r\n")


def test_the_parts_of_a_message() -> None:
    parts = list(leaves(parse(MESSAGE)))
    assert [f"{part.media_type}/{part.subtype}" for part in parts] == [
        "text/plain",
        "text/html",
        "text/plain",
        "text/plain",
        "image/png",
        "application/x-thing",
        "message/rfc822",
    ]
    assert [is_text(part) for part in parts] == [True, True] + [False] * 5
    assert text_of(MESSAGE, parts[0]) == "Grüße\n"
    assert text_of(MESSAGE, parts[1]) == "<p>Hello"
    assert [file_name(part) for part in parts] == ["", "", "notes.txt", "", "sün.png", "", ""]
    assert [content_id(part) for part in parts] == ["", "", "", "", "sun@example.org", "", ""]
    assert octets_of(MESSAGE, parts[4]) == b"\x89PNG"[:4]
    assert octets_of(MESSAGE, parts[5]) == b"as it is"
    assert octets_of(MESSAGE, parts[6]) == b"Subject: inside\r\n\r\ntext"


def test_a_message_without_parts_is_its_own() -> None:
    (part,) = leaves(parse(b"Subject: hello\n\nHello!\n"))
    assert is_text(part)
    assert text_of(b"Subject: hello\n\nHello!\n", part) == "Hello!\n"
