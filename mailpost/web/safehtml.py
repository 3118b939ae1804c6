"""HTML of strangers made harmless: what is left can be looked at, loads nothing, runs nothing, sends nothing.

It is shown in a frame without scripts and forms, under a policy that lets it load nothing either
(`mailpost.web.headers`); so each of the two would do alone. nh3 parses as browsers do and keeps what is named here.
Style sheets are left out; of style attributes those properties stay that cannot name anything elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

nh3: ModuleType | None
try:
    import nh3
except ImportError:  # it comes with mailpost[web]
    nh3 = None

LARGEST = 2 << 20
"""Characters of HTML that are shown."""
DEEPEST = 1000
"""Elements inside each other. The time to parse them grows with the square."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS = _words(
    "a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del"
    " details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hgroup hr i img ins kbd li"
    " main mark nav ol p pre q rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot"
    " th thead time tr tt u ul var wbr"
)
_REMOVED_WHOLE = _words(
    "script style title template svg math object iframe frameset noembed noframes select textarea audio video canvas"
    " xmp plaintext"
)
_ATTRIBUTES = {
    "*": _words("style align valign dir lang title bgcolor width height color"),
    "a": frozenset({"href"}),
    "img": _words("src alt border hspace vspace"),
    "table": _words("border cellpadding cellspacing summary"),
    "td": _words("colspan rowspan nowrap abbr"),
    "th": _words("colspan rowspan nowrap scope abbr"),
    "col": frozenset({"span"}),
    "colgroup": frozenset({"span"}),
    "font": frozenset({"face", "size"}),
    "ol": frozenset({"start", "type", "reversed"}),
    "ul": frozenset({"type"}),
    "li": frozenset({"type", "value"}),
    "hr": frozenset({"size", "noshade"}),
}
_PROPERTIES = _words(
    "background background-color border border-collapse border-color border-radius border-spacing border-style"
    " border-width box-shadow box-sizing caption-side clear color direction display empty-cells float font font-family"
    " font-size font-style font-variant font-weight height letter-spacing line-height list-style list-style-position"
    " list-style-type margin max-height max-width min-height min-width opacity overflow overflow-wrap padding"
    " table-layout text-align text-decoration text-indent text-shadow text-transform unicode-bidi vertical-align"
    " visibility white-space width word-break word-spacing word-wrap"
) | {
    f"{name}{suffix}"
    for side in ("top", "right", "bottom", "left")
    for name, suffix in (
        (f"margin-{side}", ""),
        (f"padding-{side}", ""),
        *((f"border-{side}", what) for what in ("", "-color", "-style", "-width")),
    )
}
_FUNCTIONS = _words("rgb rgba hsl hsla calc linear-gradient radial-gradient")
"""Of CSS, those that name nothing elsewhere."""
_CALL = re.compile(r"([\w-]*)\(")
_STRANGE = re.compile(r"[\\<>{}@]|/\*|[\x00-\x08\x0e-\x1f]")
"""What could make a value of CSS mean something else."""

_IGNORED = re.compile(r"[\t\r\n]+")
_AROUND = "".join(map(chr, range(33)))
"""What browsers leave out of an address, or around it."""
_FOLLOWED = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_INLINE_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE)
_ELSEWHERE = re.compile(r"(?:https?:)?//", re.IGNORECASE)

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]{0,30})")
_VOID = _words("area base br col embed hr img input link meta param source track wbr p li dt dd option")
"""Elements that hold nothing, or end where the next one begins."""
_WALLS = _words("td th caption table")
"""An end tag of something outside of them means nothing inside."""

_BEFORE = """\
<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Message</title><style>
:root { color-scheme: light }
body { margin: 20px 24px; color: #1d1d1b; background: #fff; overflow-wrap: anywhere;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif }
img { max-width: 100% }
img:not([src]) { display: inline-block; min-width: 1.5em; min-height: 1.2em; padding: 2px 8px; color: #6f6b64;
  background: #f3f1ed; outline: 1px dashed #cfcac1; outline-offset: -1px; font-size: 12px }
img:not([src]):is([width="0"], [width="1"], [height="0"], [height="1"]) { display: none }
pre { white-space: pre-wrap } a { color: #1f5f73 }
blockquote { margin-left: 0; padding-left: 1em; border-left: 3px solid #e0dcd4 }
</style></head><body>
"""
_AFTER = "\n</body></html>\n"


def can_show() -> bool:
    """Whether HTML can be shown at all."""
    return nh3 is not None


class NotShownError(Exception):
    """HTML that is not shown; the text says why, to the person who wanted to see it."""


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """What can be shown."""

    document: str
    """All of a page."""
    left_out: int
    """Images and the like that would have been loaded from elsewhere."""


def safe_html(html: str, images: Mapping[str, str]) -> SafeHtml:
    """Make HTML harmless. It takes time: for a thread.

    Args:
        html: what came, of any kind.
        images: Content-ID -> `data:` URL of the images that are in the message.

    Raises:
        NotShownError: it is too large or too deep, or nh3 is not installed.
    """
    if nh3 is None:
        raise NotShownError("To see HTML, install mailpost[web]: it is made safe by nh3.")
    if len(html) > LARGEST:
        raise NotShownError(f"This HTML is larger than {LARGEST >> 20} MiB. It can be read in the source.")
    if _depth(html) > DEEPEST:
        raise NotShownError(f"This HTML has more than {DEEPEST} elements inside each other.")
    attributes = _Attributes(images)
    body = nh3.clean(
        html,
        tags=set(_TAGS),
        clean_content_tags=set(_REMOVED_WHOLE),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=attributes,
        filter_style_properties=set(_PROPERTIES),
        url_schemes={"http", "https", "mailto", "tel", "data", "cid"},  # as they come; `_Attributes` tells where
        url_relative="deny",
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return SafeHtml(f"{_BEFORE}{body}{_AFTER}", attributes.left_out)


class _Attributes:
    """Decides on each attribute that is allowed at all."""

    def __init__(self, images: Mapping[str, str]) -> None:
        self._images = images
        self.left_out = 0

    def __call__(self, tag: str, name: str, value: str) -> str | None:
        """The value to keep, or None for nothing."""
        match name:
            case "href":
                target = _address(value)
                return target if _FOLLOWED.match(target) else None
            case "src":
                return self._image(_address(value))
            case "style":
                return self._style(value)
        return value

    def _image(self, source: str) -> str | None:
        if source[:4].lower() == "cid:":
            return self._images.get(source[4:])
        if _INLINE_IMAGE.fullmatch(source):
            return source
        self.left_out += _ELSEWHERE.match(source) is not None
        return None

    def _style(self, value: str) -> str | None:
        """The declarations that are harmless. nh3 goes on to keep those of `_PROPERTIES` alone."""
        kept = []
        for declaration in value.split(";"):
            if all(call.lower() in _FUNCTIONS for call in _CALL.findall(declaration)) and not _STRANGE.search(
                declaration
            ):
                kept.append(declaration)
            elif "url(" in declaration.lower():
                self.left_out += _ELSEWHERE.search(declaration) is not None
        return ";".join(kept) or None


def _address(value: str) -> str:
    """A URL as browsers read it."""
    return _IGNORED.sub("", value.strip(_AROUND))


def _depth(html: str) -> int:
    """About how deep its elements are nested, as a parser would find it; no more than a little above `DEEPEST`."""
    opened: list[str] = []
    deepest = 0
    for match in _TAG.finditer(html):
        closing, name = match[1], match[2].lower()
        if deepest > DEEPEST:
            break
        if name in _VOID:
            continue
        if not closing:
            opened.append(name)
            deepest = max(deepest, len(opened))
            continue
        for back in range(len(opened) - 1, -1, -1):
            if opened[back] == name:
                del opened[back:]
                break
            if opened[back] in _WALLS and name not in _WALLS:
                break
    return deepest
