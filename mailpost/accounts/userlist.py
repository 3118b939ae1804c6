"""The users of a file (`accounts.usersfile`) to look at and change, for programs: everything here blocks.

What is not changed stays as it is, octet for octet, whoever has written it.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mailpost.accounts.account import User, checked_user
from mailpost.accounts.quotarules import quota_of
from mailpost.accounts.usersfile import SCRAM_LINE, extra_fields, parse


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
            kept = [field for field in extra_fields(lines[place]) if not field.startswith("userdb_quota_")]
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
    begin = f"{SCRAM_LINE}{name}:"
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
