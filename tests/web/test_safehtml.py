"""HTML made harmless: nothing is loaded, run or sent, whatever it was."""

from __future__ import annotations

import subprocess
import sys
from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpost.web import safehtml
from mailpost.web.safehtml import DEEPEST, LARGEST, NotShownError, safe_html

PICTURE = "data:image/png;base64,iVBORw0KGgo="


class Document(HTMLParser):
    """The elements of a document, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def body(html: str, images: dict[str, str] | None = None) -> str:
    document = safe_html(html, images or {}).document
    assert document.count("<body>") == 1
    return document.partition("<body>\n")[2].removesuffix("</body></html>\n").strip()


@pytest.mark.parametrize(
    ("html", "kept"),
    [
        ("<p>Hello <b>Ann</b></p>", "<p>Hello <b>Ann</b></p>"),
        ("<script>alert(1)</script>x", "x"),
        ("<SCRIPT SRC=//evil/x.js></SCRIPT>x", "x"),
        ('<b onclick="x()" onmouseover=y()>x</b>', "<b>x</b>"),
        ("<style>@import url(//evil/x.css); p { color: red }</style>x", "x"),
        ("<title>secret</title><body background=//evil/x bgcolor=red onload=x()>x", "x"),
        ('<meta http-equiv=refresh content="0;url=//evil/">x', "x"),
        ('<link rel=stylesheet href="//evil/x"><link rel=prefetch href="//evil/y"><base href="//evil/">x', "x"),
        ("<form action=//evil/><input name=a autofocus onfocus=x()><button>Send</button></form>", "Send"),
        ("<iframe src=//evil/></iframe><object data=//evil/></object><embed src=//evil/>x", "x"),
        ("<svg><script>x()</script><image href=//evil/x /></svg><math><mi xlink:href=//evil/>x</mi></math>y", "y"),
        ("<video src=//evil/x poster=//evil/y></video><audio src=//evil/x></audio><source srcset=//evil/x>x", "x"),
        ("<textarea><img src=x onerror=y()></textarea><select><option>o</select>x", "x"),
        ("<!--[if mso]><img src=//evil/x><![endif]-->x", "x"),
        ("<template><img src=//evil/x></template><noscript>x</noscript>", "x"),
        ('<a href="javascript:x()">x</a>', '<a target="_blank" rel="noopener noreferrer">x</a>'),
        ('<a href="java&#9;script:x()">x</a>', '<a target="_blank" rel="noopener noreferrer">x</a>'),
        ('<a href="data:text/html,x">x</a>', '<a target="_blank" rel="noopener noreferrer">x</a>'),
        ('<a href="/api/clear">x</a>', '<a target="_blank" rel="noopener noreferrer">x</a>'),
        (
            '<a href="https://e.org/?a=1&amp;b" target=_self rel=opener ping=//evil/>x</a>',
            '<a href="https://e.org/?a=1&amp;b" target="_blank" rel="noopener noreferrer">x</a>',
        ),
        (
            '<a href=" \x01mail&#10;to:ann@example.org">x</a>',
            '<a href="mailto:ann@example.org" target="_blank" rel="noopener noreferrer">x</a>',
        ),
        ('<td background="//evil/x">x', "x"),
        ('<p class="a" id="b">x</p>', "<p>x</p>"),
    ],
)
def test_what_is_kept(html: str, kept: str) -> None:
    found = body(html)
    for each in ("evil", "x()", "alert"):
        assert each not in found
    assert sorted(found.replace(">", " >").split()) == sorted(kept.replace(">", " >").split())


def test_images_are_those_of_the_message() -> None:
    html = '<img src="cid:a@b" alt=A><img src="CID:other"><img src="http://e/x" srcset="//e/y 2x" alt=B><img src=x.png>'
    html += f'<img src="{PICTURE}"><img src="data:image/svg+xml;base64,PHN2Zz4="><img src="data:text/html,x">'
    safe = safe_html(html, {"a@b": PICTURE})
    shown = [attributes for tag, attributes in Document(safe.document).elements if tag == "img"]
    assert [each.get("src") for each in shown] == [PICTURE, None, None, None, PICTURE, None, None]
    assert [each.get("alt") for each in shown[:3]] == ["A", None, "B"]
    assert safe.left_out == 1


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        ("color: red; font-size: 12px", "color:red;font-size:12px"),
        ("background: url(//evil/x); color: red", "color:red"),
        ("background: URL( '//evil/x' )", None),
        ("background-image: url(//evil/x)", None),
        ("background: image-set('//evil/x' 1x)", None),
        ("background: -webkit-image-set(url(//evil/x) 1x)", None),
        ("background: src('//evil/x')", None),
        ("background: \\75rl(//evil/x)", None),
        ("background: u/**/rl(//evil/x)", None),
        ("background: linear-gradient(red, blue)", "background:linear-gradient(red, blue)"),
        ("color: rgb(1,2,3); width: calc(100% - 2px)", "color:rgb(1, 2, 3);width:calc(100% - 2px)"),
        ("width: expression(x())", None),
        ("behavior: url(//evil/x); -moz-binding: url(//evil/x)", None),
        ("position: fixed; z-index: 9; content: 'x'", None),
        ("font-family: 'A', url(//evil/x); color: red", "color:red"),
        ("list-style: url(//evil/x)", None),
        ("color: red } body { background: url(//evil/x)", None),
        ("--x: url(//evil/x); color: var(--x)", None),
        ("border-left-color: red; margin-top: 1px", "border-left-color:red;margin-top:1px"),
    ],
)
def test_style_attributes_name_nothing_elsewhere(style: str, kept: str | None) -> None:
    document = Document(safe_html(f'<p style="{style}">x</p>', {}).document)
    (attributes,) = [attributes for tag, attributes in document.elements if tag == "p"]
    found = attributes.get("style", "").replace("; ", ";").rstrip(";")
    assert found == (kept or "")


def test_what_would_take_too_long_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotShownError, match="larger"):
        safe_html("x" * (LARGEST + 1), {})
    for piece in ("<div>", "<div></b>", "<div><table><td></div></table>", "<b><i>", "<div></td>"):
        with pytest.raises(NotShownError, match="inside each other"):
            safe_html(piece * (DEEPEST + 1), {})
    assert "x" in safe_html("<p>x<br>" * 20_000, {}).document
    assert "x" in safe_html("<div><b>x</b></div>" * 20_000, {}).document
    monkeypatch.setattr(safehtml, "nh3", None)
    assert not safehtml.can_show()
    with pytest.raises(NotShownError, match=r"mailpost\[web\]"):
        safe_html("x", {})


def test_it_is_there_without_nh3() -> None:
    program = "import sys; sys.modules['nh3'] = None\nfrom mailpost.web.safehtml import can_show\nprint(can_show())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


_PIECES = st.sampled_from(
    [
        *"<>\"'=/ &;:()-!\n\0`\\",
        *("<script>", "</script>", "<style>", "</style>", "<svg>", "</svg>", "<math>", "<mtext>", "<mglyph>"),
        *("<img ", "src=", "onerror=", "x()", "<a ", "href=", "style=", "<p ", "<table>", "<td ", "<form ", "<input "),
        *("url(", "//evil/", "http://evil/", "javascript:", "data:text/html,", "cid:", "@import ", "expression("),
        *("background:", "color:", "<!--", "-->", "<![CDATA[", "]]>", "<template>", "<noscript>", "</noscript>"),
        *("<title>", "</title>", "<textarea>", "</textarea>", "<iframe ", "srcdoc=", "<base ", "<meta ", "<link "),
        *("<select>", "<plaintext>", "<xmp>", "&lt;", "&#x3c;", "&colon;", "&Tab;", "\\75 rl(", "image-set(", "<body "),
        *("<foreignObject>", "<annotation-xml ", "encoding=text/html>", "xlink:href=", "srcset=", "formaction="),
    ]
)
_MAY_BE_SHOWN = safehtml._TAGS | {"html", "head", "body", "meta", "title", "style"}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(_PIECES, st.text(max_size=4)), max_size=40).map("".join))
def test_nothing_of_any_html_loads_or_runs(html: str) -> None:
    safe = safe_html(html, {"": PICTURE, "x": PICTURE})
    found = Document(safe.document)
    heads = [tag for tag, _ in found.elements if tag in ("html", "head", "body", "meta", "title", "style")]
    assert sorted(heads) == sorted(["html", "head", "meta", "meta", "title", "style", "body"])  # our own
    for tag, attributes in found.elements:
        assert tag in _MAY_BE_SHOWN
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name == "style":
                lowered = value.lower()
                assert not any(each in lowered for each in ("url", "image-set", "expression", "import", "\\", "@"))
            elif name == "src":
                assert value == PICTURE or value.startswith("data:image/")
            elif name == "href":
                assert tag == "a" and value.lower().startswith(("http://", "https://", "mailto:", "tel:"))
            elif tag != "meta":
                assert name in safehtml._ATTRIBUTES["*"] | safehtml._ATTRIBUTES.get(tag, frozenset()) | {
                    "target",
                    "rel",
                }
        if tag == "a":
            assert (attributes["target"], attributes["rel"]) == ("_blank", "noopener noreferrer")
    # It is read as it was written: making it harmless once more changes nothing.
    once = body(html, {"": PICTURE})
    assert Document(body(once)).elements == Document(once).elements


@given(st.text(max_size=200))
def test_text_stays_text(text: str) -> None:
    text = text.translate({0: "", 13: ""})
    assert text.strip() in Document(safe_html(escape(text), {}).document).text
