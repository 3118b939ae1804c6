"""The one-time code in a text: what a person would type who was sent it.

A code is 4 to 8 digits, perhaps in equal groups (123-456, 1234 5678, 1 2 3 4 5 6), or capitals with digits among them
or in two groups (A1B2C3, WDJB-MJHT). It counts

- where a word for it stands near by ("your code: 123-456", "483920 is your PIN"), in its line or just above; or
- where digits stand alone in their line.

It does not count behind a word for something else (order 123456, invoice, phone), with a unit or a currency, as part of
an address, a date, a time or a longer number. A year counts only directly behind a word for a code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

LONGEST = 64 << 10
"""Characters of a text that are looked at."""
MOST = 500
"""What might be a code, of either kind, that is looked at more closely."""

_BEFORE = r"(?:(?<=[:*])|(?<![\w#$€£¥+/.,:@%&=?~*-]))(?<!\d:)(?<!\d[ -])"
_AFTER = r"(?![\w@%€£$/=&]|[-.,:/]\w|[ ]\d)"
_DIGITS = re.compile(
    _BEFORE + r"(?:[A-Z]-)?(\d{4,8}|\d{3}[- ]\d{3}|\d{4}[- ]\d{4}|\d{2}(?: \d{2}){1,3}|\d(?:[ ]\d){3,7})" + _AFTER
)
_LETTERS = re.compile(_BEFORE + r"((?=[A-Z]*\d)[A-Z0-9]{5,10}|[A-Z0-9]{4}-[A-Z0-9]{4})" + _AFTER)

_OTHER_CODES = "".join(
    f"(?<!{word} )(?<!{word}-)"
    for word in (
        "area", "zip", "postal", "post", "country", "error", "status", "source", "qr", "bar", "booking", "tracking",
        "promo", "discount", "coupon", "voucher", "dial", "dress", "order", "product", "exit", "reference", "customer",
    )
)  # fmt: skip
_WORD = re.compile(
    rf"(?<!\w)(?:{_OTHER_CODES}\w*code[sn]?|otp|passcode|pin|2fa|mfa|tan|token|passw[oe]r[dt]|verification|código|codice"
    r"|kód|код)(?!\w)|验证码|認証コード|인증번호|인증 ?코드",
    re.IGNORECASE,
)
_SOMETHING_ELSE = re.compile(
    r"(?:(?<!\w)(?:order|invoice|bill|receipt|ticket|ref|reference|account|customer|case|booking|tracking|parcel|phone"
    r"|tel|call|fax|mobile|cell|zip|plz|room|flight|version|port|since|copyright|article|item|bestellung|rechnung|konto"
    r"|kunde|telefon|commande|pedido)(?:\w*)|©|\(c\)|#)[ ]?(?:number|nummer|no|nr|id|is|:|\.|#|-|[ ]){0,4}\Z",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"[ ]?(?:sec|min|hour|hr|day|week|month|year|times?\b|items?\b|points?\b|users?\b|people|px\b|k[mg]b?\b|[mg]b\b|eur"
    r"|usd|gbp|chf|dollar|pound|°|stunde|tage)",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_DIRECT = re.compile(r"(?:[ ](?:is|ist|es|est|è))?[ ]?[:=]?[\s*\"'“„(\[]*\Z", re.IGNORECASE)
_SEPARATORS = str.maketrans("", "", "- ")


@dataclass(frozen=True, slots=True)
class _Candidate:
    code: str
    start: int
    end: int
    digits: bool


def one_time_code(text: str) -> str | None:
    """The code in a text, digits without what groups them; None where there is none.

    Of several the one counts whose word is nearest before it, then nearest behind it, then one alone in its line.
    """
    text = text[:LONGEST].replace("\xa0", " ")
    digits, letters = (islice(kind.finditer(text), MOST) for kind in (_DIGITS, _LETTERS))
    found = [_Candidate(match[1].translate(_SEPARATORS), *match.span(), True) for match in digits]
    found += [_Candidate(match[1], *match.span(), False) for match in letters]
    ranked = [(rank, each.start, each.code) for each in found if (rank := _rank(text, each)) is not None]
    return min(ranked)[2] if ranked else None


def _rank(text: str, candidate: _Candidate) -> tuple[int, int] | None:
    """How likely it is: the less, the likelier; None if it is no code."""
    line = text.rfind("\n", 0, candidate.start) + 1
    stop = text.find("\n", candidate.end)
    own = text[line : candidate.start][-80:]
    behind = text[candidate.end : stop if stop >= 0 else len(text)][:60]
    if _SOMETHING_ELSE.search(own[-40:]) or _UNIT.match(behind):
        return None
    near = text[max(0, candidate.start - 160) : candidate.start]
    words = list(_WORD.finditer(near if _alone(own, behind) else own))
    year = candidate.digits and _YEAR.fullmatch(candidate.code) is not None
    if words:
        between = (near if _alone(own, behind) else own)[words[-1].end() :]
        if _DIRECT.match(between):
            return 0, len(between)
        if not year:
            return 1, len(between)
    after = _WORD.search(behind)
    if after is not None and not year:
        return 2, after.start()
    if _alone(own, behind) and candidate.digits and not year:
        return 3, 0
    return None


def _alone(own: str, behind: str) -> bool:
    """Whether nothing else is in the line."""
    return not own.strip(" \t*>|") and not behind.strip(" \t*|.")
