"""Users in memory."""

from __future__ import annotations

import pytest
from zope.interface.verify import verifyObject

from mailpost.accounts.account import User, UserNameError
from mailpost.accounts.interfaces import PASSWORD_MECHANISMS, IUserDirectory
from mailpost.accounts.memory import MemoryDirectory


def test_users_are_found_whatever_the_case() -> None:
    directory = MemoryDirectory.of({"Ann@example.org": "secret"})
    verifyObject(IUserDirectory, directory)
    assert directory.find("ann@EXAMPLE.org") == User("Ann@example.org", "{PLAIN}secret")
    assert directory.find("bob") is None
    with pytest.raises(UserNameError):
        MemoryDirectory.of({"../ann": "secret"})


def test_mechanisms_are_those_of_all() -> None:
    directory = MemoryDirectory()
    assert directory.mechanisms() == PASSWORD_MECHANISMS
    directory.add(User("ann", "{PLAIN}secret"))
    assert directory.mechanisms() > PASSWORD_MECHANISMS
    directory.add(User("nobody", ""))
    assert "SCRAM-SHA-256" in directory.mechanisms()
    directory.add(User("bob", "{ARGON2ID}$argon2id$x"))
    assert directory.mechanisms() == PASSWORD_MECHANISMS


def test_a_decoy_has_a_password_that_nobody_knows() -> None:
    directory = MemoryDirectory()
    one, other = directory.decoy("ann"), directory.decoy("ann")
    assert one.name == other.name == "ann"
    assert one.password.startswith("{PLAIN}")
    assert one.password != other.password
