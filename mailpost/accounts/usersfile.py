"""The text of a users file, passwd-style and compatible with Dovecot's passwd-file.

    name:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields

Only the name, the password, `nologin`, limits on room (`accounts.quotarules`), `mailpost_senders=address,@domain` and
`mailpost_sent_copies=yes` (or no) mean something here; the rest is Dovecot's and stays as it is, and so do comments and
lines that cannot be read. A bad line is a warning with its number and does not take the others down.

The SCRAM verifiers of a user stand in a line of their own, which is a comment to Dovecot; an extra field it would hand
to whoever asks it for a login, and write to its log.

    #mailpost_scram:name:verifiers

When another program changes the hash, they no longer count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailpost.accounts.account import User, checked_user
from mailpost.accounts.interfaces import PASSWORD_MECHANISMS
from mailpost.accounts.passwords import HashError, plain_of, scheme_of, verifiers_of
from mailpost.accounts.quotarules import quota_of
from mailpost.accounts.verifiers import SCRAM_MECHANISMS, read_beside

OF_PLAIN = PASSWORD_MECHANISMS | {*SCRAM_MECHANISMS, "CRAM-MD5"}
"""What a user can use whose password is stored as it is."""
SCRAM_LINE = "#mailpost_scram:"
"""How a line of verifiers begins."""
_LOCKED = re.compile(r"[!*].*|x|")
"""What lets nobody in: no password, one behind a lock mark, or kept elsewhere, as passwd(5) has them."""

_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Listing:
    """What a users file says."""

    users: Mapping[str, User] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    """One sentence for each bad line, beginning with its line number."""
    secret: bytes = b""
    """The same as long as can be, and known to nobody; b"" when the file has none."""


def parse(text: str) -> Listing:
    """Read the text of a users file."""
    users: dict[str, User] = {}
    warnings: list[str] = []
    beside: list[tuple[int, str, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(SCRAM_LINE):
            name, _, verifiers = line.removeprefix(SCRAM_LINE).rstrip("\r").partition(":")
            beside.append((number, name, verifiers))
        if not line.strip() or line.startswith("#"):
            continue
        try:
            user = _parse_line(line.rstrip("\r"))
        except ValueError as problem:
            warnings.append(f"line {number}: {problem}")
            continue
        if user.name in users:
            warnings.append(f"line {number}: user {user.name} is listed twice; the first counts")
            continue
        try:
            users[user.name] = replace(user, quota=quota_of(extra_fields(line)))
        except ValueError as problem:
            users[user.name] = user
            warnings.append(f"line {number}: {problem}; user {user.name} has the limit of all")
    return Listing(users, warnings, _add_verifiers(users, beside, warnings))


def _add_verifiers(users: dict[str, User], beside: Iterable[tuple[int, str, str]], warnings: list[str]) -> bytes:
    """Give users what stands beside their hashes in lines of (number, name, text); the first key among them."""
    secret = b""
    for number, name, text in beside:
        user = users.get(name)
        if user is None:
            continue
        try:
            verifiers, key = read_beside(user.password, text)
        except ValueError as problem:
            warnings.append(f"line {number}: the SCRAM verifiers of {name} cannot be read: {problem}")
            continue
        secret = secret or key
        users[name] = replace(user, verifiers=user.verifiers + verifiers)
    return secret


def _parse_line(line: str) -> User:
    name, colon, rest = line.partition(":")
    name = checked_user(name)
    if not colon:
        raise ValueError(f"user {name} has no password: there is no colon behind the name")
    password = rest.partition(":")[0]
    extra = dict(item.partition("=")[::2] for item in extra_fields(line))
    user = User(
        name,
        "",
        senders=frozenset(filter(None, extra.get("mailpost_senders", "").casefold().split(","))),
        sent_copies=_YES_NO.get(extra.get("mailpost_sent_copies", "").casefold()),
    )
    if _LOCKED.fullmatch(password) or "nologin" in extra:
        return user
    scheme_of(password)
    try:
        verifiers = verifiers_of(password)
    except HashError:  # told when somebody logs in
        verifiers = ()
    return replace(user, password=password, verifiers=verifiers)


def mechanisms_of(user: User) -> frozenset[str]:
    """The SASL mechanisms that this user can use; any stored password can be tested against a plain one."""
    if plain_of(user.password) is not None:
        return OF_PLAIN
    return PASSWORD_MECHANISMS | {each.mechanism for each in user.verifiers if each.usable()}


def scram_note(users: Mapping[str, User]) -> str:
    """For whose sake SCRAM is not announced; "" where it is, or where nobody could use it."""
    each = {name: "SCRAM-SHA-256" in mechanisms_of(user) for name, user in users.items() if user.password}
    lacking = [name for name, can in each.items() if not can]
    if not lacking or len(lacking) == len(each):
        return ""
    some = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
    return f"SCRAM-SHA-256 is not announced: there is no verifier for {some}"


def mechanisms_of_all(users: Iterable[User]) -> frozenset[str]:
    """What every one of them can use."""
    each = [mechanisms_of(user) for user in users]
    return frozenset.intersection(*each) if each else PASSWORD_MECHANISMS


def extra_fields(line: str) -> list[str]:
    """The extra fields of a line: what is behind the shell."""
    fields = line.split(":", 7)
    return fields[7].split() if len(fields) > 7 else []
