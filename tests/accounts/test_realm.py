from __future__ import annotations

import pytest
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.mail.interfaces import IAccountIMAP
from zope.interface import Interface
from zope.interface.verify import verifyObject

from mailpost.accounts.realm import MailRealm
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.interfaces import IMailAccount

from .test_checkers import result


class Account:
    """As much of an account as a realm touches."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.released = 0

    def release(self) -> None:
        self.released += 1


class Store:
    """Opens accounts at once or later, or not at all."""

    def __init__(self) -> None:
        self.accounts: list[Account] = []

    async def account(self, user: str) -> Account:
        if user == "broken":
            raise MailError(ErrorKind.UNAVAILABLE, "the account cannot be opened")
        self.accounts.append(Account(user))
        return self.accounts[-1]


class Facade:
    def __init__(self, account: object) -> None:
        self.account = account


async def facade(account: object) -> object:
    if getattr(account, "user", "") == "odd":
        raise MailError(ErrorKind.UNAVAILABLE, "no facade for this one")
    return Facade(account)


class IOther(Interface):
    pass


def test_an_account_is_released_once() -> None:
    realm = MailRealm(Store())  # type: ignore[arg-type]
    verifyObject(IRealm, realm)
    interface, avatar, logout = result(realm.requestAvatar(b"J\xc3\xb6rg", None, IOther, IAccountIMAP, IMailAccount))  # type: ignore[misc]
    assert interface is IMailAccount
    assert avatar.user == "Jörg"
    logout()
    logout()
    assert avatar.released == 1


def test_the_stock_account_where_ours_is_not_asked_for() -> None:
    realm = MailRealm(Store(), facade)  # type: ignore[arg-type]
    interface, avatar, logout = result(realm.requestAvatar("joe", None, IAccountIMAP))  # type: ignore[misc]
    assert interface is IAccountIMAP
    assert avatar.account.user == "joe"
    logout()
    assert avatar.account.released == 1
    interface, _, _ = result(realm.requestAvatar("joe", None, IAccountIMAP, IMailAccount))  # type: ignore[misc]
    assert interface is IMailAccount
    at_once = MailRealm(Store(), Facade)  # type: ignore[arg-type]
    _, avatar, _ = result(at_once.requestAvatar("joe", None, IAccountIMAP))  # type: ignore[misc]
    assert isinstance(avatar, Facade)


def test_a_facade_that_fails_gives_the_account_back() -> None:
    store = Store()
    with pytest.raises(MailError):
        result(MailRealm(store, facade).requestAvatar("odd", None, IAccountIMAP))  # type: ignore[arg-type]
    assert store.accounts[0].released == 1


@pytest.mark.parametrize("name", [b"../etc", b"", (), b"\xff", "a/b"])
def test_names_from_foreign_checkers_are_checked_too(name: bytes) -> None:
    store = Store()
    with pytest.raises(UnauthorizedLogin):
        result(MailRealm(store).requestAvatar(name, None, IMailAccount))  # type: ignore[arg-type]
    assert store.accounts == []


def test_what_it_has_not() -> None:
    realm = MailRealm(Store())  # type: ignore[arg-type]
    for interfaces in ((IAccountIMAP,), (IOther,), ()):
        with pytest.raises(NotImplementedError):
            result(realm.requestAvatar(b"joe", None, *interfaces))
    with pytest.raises(MailError):
        result(realm.requestAvatar(b"broken", None, IMailAccount))
