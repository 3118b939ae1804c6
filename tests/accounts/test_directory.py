from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from mailpost.accounts.account import User
from mailpost.accounts.directory import PasswordFile
from mailpost.accounts.interfaces import IUserDirectory
from mailpost.accounts.passwords import hashed
from mailpost.accounts.userlist import add
from mailpost.accounts.usersfile import parse, scram_note
from mailpost.accounts.verifiers import Verifier, beside
from mailpost.mail.errors import ErrorKind, MailError

from .test_usersfile import HASH, TEXT


def run(function: Callable[[], None]) -> Awaitable[None]:
    return succeed(function())


def found(directory: PasswordFile, name: str) -> User | None:
    results: list[Any] = []
    ensureDeferred(directory.find(name)).addBoth(results.append)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    user: User | None = results[0]
    return user


class Events(list[str]):
    def __call__(self, event: dict[str, object]) -> None:
        if str(event["log_namespace"]).startswith("mailpost"):
            self.append(str(event["log_format"]).format(**event))


def test_the_file_is_looked_at_once_a_second(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "users"
    events = Events()
    globalLogPublisher.addObserver(events)
    try:
        directory = PasswordFile(path, run, clock.seconds)
        verifyObject(IUserDirectory, directory)
        with pytest.raises(MailError):
            found(directory, "joe")
        assert any("cannot be read" in event for event in events)
        path.write_text(TEXT)
        with pytest.raises(MailError):  # less than a second ago
            found(directory, "joe")
        clock.advance(1)
        assert found(directory, "joe") == User("joe", "{PLAIN}secret")
        assert found(directory, "JOE") == User("joe", "{PLAIN}secret")
        assert f"{path}: line 5: " in "\n".join(events)
        count = len(events)
        clock.advance(1)
        assert found(directory, "nobody") is None
        assert len(events) == count, "read again only when it changes"
        path.write_text("ann:{PLAIN}new\n")
        clock.advance(1)
        assert found(directory, "joe") is None
        assert found(directory, "ann") == User("ann", "{PLAIN}new")
        path.unlink()
        clock.advance(1)
        assert found(directory, "ann"), "a file that is away for a moment takes nobody down"
        path.write_text("ann:{PLAIN}new\nbob:{PLAIN}x\n")
        clock.advance(1)
        assert found(directory, "bob")
    finally:
        globalLogPublisher.removeObserver(events)
    assert "secret" not in "\n".join(events)


def test_a_decoy_is_somebody_and_always_the_same(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("")
    directory = PasswordFile(path, run, Clock().seconds)
    directory.load()
    assert directory.decoy("x").password.startswith("{")
    path.write_text("".join(f"u{number}:{{PLAIN}}{number}\n" for number in range(50)) + "locked:!\n")
    directory.load()
    decoys = {name: directory.decoy(name) for name in map(str, range(100))}
    assert all(directory.decoy(name) == decoy for name, decoy in decoys.items())
    assert len(set(decoys.values())) > 20
    assert all(decoy.password for decoy in decoys.values())


def mechanisms(directory: PasswordFile, clock: Clock, path: Path, text: str) -> frozenset[str]:
    path.write_text(text)
    clock.advance(1)
    directory.mechanisms()
    return directory.mechanisms()


def test_what_all_users_can_use_changes_with_the_file(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "users"
    directory = PasswordFile(path, run, clock.seconds)
    password, both = {"PLAIN", "LOGIN"}, {"SCRAM-SHA-256", "SCRAM-SHA-1"}
    scram = hashed(b"x", "SCRAM-SHA-256")
    beside_it = f"#mailpost_scram:ann:{beside(HASH, b'x')}\n"
    for text, more in (
        ("", set()),
        ("ann:!\n", set()),
        ("ann:{PLAIN}x\njoe:{CLEAR}y\n", both | {"CRAM-MD5"}),
        ("ann:{PLAIN}x\njoe:!\n", both | {"CRAM-MD5"}),
        (f"ann:{{PLAIN}}x\njoe:{scram}\n", {"SCRAM-SHA-256"}),
        (f"ann:{hashed(b'x', 'SCRAM-SHA-1')}\n", {"SCRAM-SHA-1"}),
        (f"ann:{HASH}\n{beside_it}joe:{{PLAIN}}x\n", both),
        (f"{beside_it}ann:{HASH}:::\r\n", both),
        (f"ann:{HASH}\n{beside_it}joe:{HASH}\n", set()),
        (f"ann:{HASH}1\n{beside_it}", set()),
        ("ann:{SCRAM-SHA-256}rubbish\n", set()),
        ("ann:{SCRAM-SHA-256}" + str(Verifier.of("SCRAM-SHA-256", b"x", b"short")) + "\n", set()),
    ):
        assert mechanisms(directory, clock, path, text) == password | more, text


def test_who_keeps_scram_from_being_announced_is_told(tmp_path: Path) -> None:
    events = Events()
    globalLogPublisher.addObserver(events)
    path = tmp_path / "users"
    path.write_text(f"ann:{{PLAIN}}secret\njoe:{HASH}\n#mailpost_scram:ann:*\n#mailpost_scram:nobody:x\n")
    try:
        PasswordFile(path, run, Clock().seconds).load()
    finally:
        globalLogPublisher.removeObserver(events)
    told = "\n".join(events)
    assert "SCRAM-SHA-256 is not announced: there is no verifier for joe" in told
    assert "line 3: the SCRAM verifiers of ann cannot be read" in told
    assert "secret" not in told
    assert scram_note(parse(f"joe:{HASH}\n").users) == ""
    assert scram_note(parse("joe:{PLAIN}x\nann:!\n").users) == ""
    many = "ann:{PLAIN}x\n" + "".join(f"u{number}:{HASH}\n" for number in range(7))
    assert scram_note(parse(many).users).endswith(" for u0, u1, u2, u3, u4 and 2 more")


def test_the_salts_of_decoys_outlive_the_process_and_are_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "users"
    for name in ("ann", "joe", "kurt"):
        add(path, name, HASH, beside(HASH, b"x"))

    def salts(name: str) -> list[bytes]:
        directory = PasswordFile(path, run, Clock().seconds)
        directory.load()
        return [each.salt for each in directory.decoy(name).verifiers]

    assert salts("nobody") == salts("nobody") == salts("NoBody")
    real = [each.salt for user in parse(path.read_text()).users.values() for each in user.verifiers]
    some = [salt for number in range(20) for salt in salts(f"u{number}")]
    assert len({*real, *some}) == len(real) + len(some) == 46
    assert {len(salt) for salt in some} == {len(salt) for salt in real}


def test_users_are_found_in_any_letters_and_the_very_spelling_wins(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("Joe:{PLAIN}1\njoe:{PLAIN}2\nJOHN:{PLAIN}3\n")
    directory = PasswordFile(tmp_path / "users", run, lambda: 0.0)
    names = {name: found(directory, name) for name in ("Joe", "joe", "jOE", "john", "JOHN", "jo", "")}
    assert {name: user and user.name for name, user in names.items()} == {
        "Joe": "Joe", "joe": "joe", "jOE": "Joe", "john": "JOHN", "JOHN": "JOHN", "jo": None, "": None,
    }  # fmt: skip


def test_while_the_file_could_never_be_read_nobody_is_nobody(tmp_path: Path) -> None:
    time = 0.0
    directory = PasswordFile(tmp_path / "users", run, lambda: time)
    with pytest.raises(MailError) as caught:
        found(directory, "joe")
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    (tmp_path / "users").write_text("joe:{PLAIN}1\n")
    time = 2.0
    user = found(directory, "joe")
    assert user is not None and user.name == "joe"
    (tmp_path / "users").unlink()
    time = 4.0
    assert found(directory, "joe") == user
    assert found(directory, "ann") is None
