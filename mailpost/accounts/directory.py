"""Users in a passwd-style file, compatible with Dovecot's passwd-file.

    name:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields

Only the name, the password, `nologin`, limits on room (`accounts.quotarules`), `mailpost_senders=address,@domain` and
`mailpost_sent_copies=yes` (or no) mean something here; the rest is Dovecot's and stays as it is, and so do comments and
lines that cannot be read. The file is read again when its modification time, size or inode changes, looked at once a
second at most, in a worker thread. A bad line is a warning with its number and does not take the others down.

The SCRAM verifiers of a user stand in a line of their own, which is a comment to Dovecot; an extra field it would hand
to whoever asks it for a login, and write to its log.

    #mailpost_scram:name:verifiers

When another program changes the hash, they no longer count.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.accounts.account import User, checked_user
from mailpost.accounts.interfaces import PASSWORD_MECHANISMS, IUserDirectory
from mailpost.accounts.passwords import HashError, plain_of, scheme_of, verifiers_of
from mailpost.accounts.quotarules import quota_of
from mailpost.accounts.verifiers import SCRAM_MECHANISMS, read_beside
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.records import QuotaLimit

T = TypeVar("T")
Run = Callable[[Callable[[], T]], Awaitable[T]]

OF_PLAIN = PASSWORD_MECHANISMS | {*SCRAM_MECHANISMS, "CRAM-MD5"}
"""What a user can use whose password is stored as it is."""
_SCRAM_LINE = "#mailpost_scram:"
_UNUSED_DECOY = User("", "{PBKDF2}$1$none$50000$" + "0" * 40)
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
        if line.startswith(_SCRAM_LINE):
            name, _, verifiers = line.removeprefix(_SCRAM_LINE).rstrip("\r").partition(":")
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
            users[user.name] = replace(user, quota=quota_of(_extra(line)))
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
    extra = dict(item.partition("=")[::2] for item in _extra(line))
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


def _mechanisms_of_all(users: Iterable[User]) -> frozenset[str]:
    """What every one of them can use."""
    each = [mechanisms_of(user) for user in users]
    return frozenset.intersection(*each) if each else PASSWORD_MECHANISMS


def _extra(line: str) -> list[str]:
    """The extra fields of a line: what is behind the shell."""
    fields = line.split(":", 7)
    return fields[7].split() if len(fields) > 7 else []


@implementer(IUserDirectory)
class PasswordFile:
    """A users file as a directory."""

    _log = Logger()

    def __init__(self, path: Path, run: Run[None], seconds: Callable[[], float]) -> None:
        """Nothing is read before the first question, unless `load` is called; what can be announced is known behind it.

        Args:
            path: the file.
            run: runs a blocking function in a worker thread and answers with an awaitable.
            seconds: a clock that only goes forward.
        """
        self.path = path
        self._run = run
        self._seconds = seconds
        self._listing = Listing()
        self._real: list[User] = []
        self._mechanisms = PASSWORD_MECHANISMS
        self._spelling: dict[str, str] = {}
        """Names as they are in the file, by what they are without regard to case."""
        self._seen: object = None
        self._was_read = False
        self._looked = float("-inf")
        self._key = token_bytes(16)

    async def find(self, name: str) -> User | None:
        """The user of this very name, else the first of it in other letters, small or capital.

        Raises:
            MailError: UNAVAILABLE as long as the file could never be read: then nobody can say that a user is none.
        """
        await self.refresh()
        if not self._was_read:
            raise MailError(ErrorKind.UNAVAILABLE, "The users are not known at the moment")
        users = self._listing.users
        return users.get(name) or users.get(self._spelling.get(name.casefold(), ""))

    def quota(self, name: str) -> QuotaLimit | None:
        """How much mail a user of this exact name may have, at once; None where the file does not say."""
        user = self._listing.users.get(name)
        return user.quota if user is not None else None

    def decoy(self, name: str) -> User:
        """One of the users, always the same for a name; the salts of its verifiers are the name's own."""
        real = self._real
        if not real:
            return _UNUSED_DECOY
        # A name is found in lower case too, and so in any case it is the same decoy's.
        key = self._listing.secret or self._key
        digest = blake2b(name.lower().encode(errors="replace"), key=key, digest_size=64).digest()
        user = real[int.from_bytes(digest[:8], "big") % len(real)]
        return replace(user, verifiers=tuple(each.with_salt_of(digest[8:]) for each in user.verifiers))

    def mechanisms(self) -> frozenset[str]:
        """What every user can use, as the file was when it was read last; it is looked at for the next time."""
        Deferred.fromCoroutine(self.refresh()).addErrback(
            lambda failure: self._log.failure("{path}: looking at the users file", failure, path=str(self.path))
        )
        return self._mechanisms

    async def refresh(self, now: bool = False) -> None:
        """Read the file again if it has changed; looks once a second at most, or `now`."""
        time = self._seconds()
        if now or self._seen is None or time - self._looked >= 1:
            self._looked = time
            await self._run(self.load)

    def load(self) -> None:
        """Read the file if it is not what was read last. Blocking; a file that cannot be read keeps the old users."""
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                identity = (status.st_mtime_ns, status.st_size, status.st_ino)
                if identity == self._seen:
                    return
                text = file.read().decode(errors="surrogateescape")
        except OSError as problem:
            if self._seen != problem.errno:
                self._seen = problem.errno
                self._log.error(
                    "{path}: the users file cannot be read: {reason}", path=str(self.path), reason=problem.strerror
                )
            return
        listing = parse(text)
        self._seen, self._listing, self._was_read = identity, listing, True
        self._spelling = {name.casefold(): name for name in reversed(list(listing.users))}
        self._real = [user for user in listing.users.values() if user.password]
        self._mechanisms = _mechanisms_of_all(self._real)
        for warning in listing.warnings:
            self._log.warn("{path}: {warning}", path=str(self.path), warning=warning)
        self._log.info("{path}: {count} users", path=str(self.path), count=len(listing.users))
        if note := scram_note(listing.users):
            self._log.info("{path}: {note}", path=str(self.path), note=note)


# -- changing the file (blocking; for programs, not for the server)


class UserListError(Exception):
    """The file cannot be changed so; the text says why."""


def users(path: Path) -> list[User]:
    """The users of a file, in its order."""
    return list(parse(_read(path)).users.values())


def names(path: Path) -> list[str]:
    """Their names."""
    return [user.name for user in users(path)]


def add(path: Path, name: str, password: str, scram: str = "") -> None:
    """Put a new user at the end of the file, made if it is not there.

    Args:
        path: the file.
        name: the user.
        password: `{SCHEME}hash`.
        scram: verifiers to be kept beside it, as `verifiers.beside` makes them.

    Raises:
        UserNameError: the name is not allowed.
        UserListError: there is one of this name.
    """
    name = checked_user(name)
    with _rewriting(path) as lines:
        if _places(lines, name):
            raise UserListError(f"user {name} exists already")
        lines.append(f"{name}:{password}::::::")
        _put_scram(lines, name, scram)


def change(path: Path, name: str, password: str, scram: str = "") -> None:
    """Give a user a new password and verifiers of it; all other fields stay.

    Raises:
        UserListError: there is none of this name.
    """
    with _rewriting(path) as lines:
        places = _places(lines, name)
        if not places:
            raise UserListError(f"there is no user {name}")
        for place in places:
            _, _, rest = lines[place].partition(":")
            _, colon, others = rest.partition(":")
            lines[place] = f"{name}:{password}{colon}{others}"
        _put_scram(lines, name, scram)


def limit(path: Path, name: str, room: str) -> None:
    """Give a user another limit on storage, such as "2G", or that of all with "".

    Raises:
        UserListError: there is none of this name.
        ValueError: that is no size.
    """
    rule = [f"userdb_quota_rule=*:storage={room}"] if room else []
    quota_of(rule)
    with _rewriting(path) as lines:
        places = _places(lines, name)
        if not places:
            raise UserListError(f"there is no user {name}")
        for place in places:
            kept = [field for field in _extra(lines[place]) if not field.startswith("userdb_quota_")]
            fields = lines[place].split(":", 7)[:7]
            lines[place] = ":".join([*fields, *[""] * (7 - len(fields)), " ".join(kept + rule)])


def remove(path: Path, name: str) -> None:
    """Take a user off the file; the mail stays. Raises UserListError if there is none of this name."""
    with _rewriting(path) as lines:
        places = _places(lines, name)
        if not places:
            raise UserListError(f"there is no user {name}")
        for place in reversed(places):
            del lines[place]
        _put_scram(lines, name, "")


def _put_scram(lines: list[str], name: str, scram: str) -> None:
    """Put a user's verifiers behind the user's line, in place of any others; none if there is no text."""
    begin = f"{_SCRAM_LINE}{name}:"
    lines[:] = [line for line in lines if not line.startswith(begin)]
    if scram:
        lines.insert(_places(lines, name)[0] + 1, begin + scram)


def _places(lines: Sequence[str], name: str) -> list[int]:
    return [place for place, line in enumerate(lines) if line.partition(":")[0] == name]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        return ""


@contextmanager
def _rewriting(path: Path) -> Iterator[list[str]]:
    """The lines of the file to be changed; a new file of the same owner takes its place, durably.

    Its mode is 0600, or what it was where that let only owner and group in: another server may read it by its group.
    The folder is locked meanwhile, so that two programs do not lose each other's change.
    """
    target = path.resolve()
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        lines = _read(target).split("\n")
        if lines[-1] == "":
            lines.pop()
        yield lines
        _replace(target, "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
        os.fsync(folder)
    finally:
        os.close(folder)


def _replace(path: Path, octets: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(temporary)
    try:
        with open(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            if path.exists():
                old, made = path.stat(), os.fstat(file.fileno())
                if (old.st_uid, old.st_gid) != (made.st_uid, made.st_gid):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
                if not old.st_mode & stat.S_IRWXO:
                    os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:  # whatever ends it: raised again, with no half file left
        new.unlink(missing_ok=True)
        raise
