"""The realm: who has logged in becomes an account of the store, for our own servers or for a stock one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from twisted.mail.interfaces import IAccountIMAP
from zope.interface import Interface, implementer

from mailpost.accounts.account import UserNameError, checked_user
from mailpost.storage.interfaces import Answer, IMailAccount, IMailStore
from mailpost.storage.offload import settled

Facade: TypeAlias = Callable[[IMailAccount], "Answer[IAccountIMAP]"]
"""Makes a stock account out of ours."""


@implementer(IRealm)
class MailRealm:
    """Avatars of the people whose mail a store keeps: IMailAccount, and IAccountIMAP where there is a facade."""

    def __init__(self, store: IMailStore, facade: Facade | None = None) -> None:
        self._store = store
        self._facade = facade

    def requestAvatar(
        self, avatar_id: bytes | str | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> Deferred[tuple[type[Interface], object, Callable[[], None]]]:
        """The account of an avatar ID, which is a user name, with what gives it back at logout.

        IMailAccount is preferred wherever it stands among the interfaces. Fails with NotImplementedError when it offers
        none of them, UnauthorizedLogin when a foreign checker let in a name that cannot be anybody's.
        """
        return Deferred.fromCoroutine(self._avatar(avatar_id or b"", interfaces))

    async def _avatar(
        self, avatar_id: bytes | str, interfaces: tuple[type[Interface], ...]
    ) -> tuple[type[Interface], object, Callable[[], None]]:
        ours = IMailAccount in interfaces
        if not ours and (self._facade is None or IAccountIMAP not in interfaces):
            # A mistake of whoever built the portal: Twisted's own realms answer it so (twisted.mail.maildir).
            raise NotImplementedError("this realm has mail accounts only")
        try:
            user = checked_user(avatar_id)
        except UserNameError as problem:
            raise UnauthorizedLogin(str(problem)) from problem
        account = await settled(self._store.account(user))
        logout = _Once(account.release)
        if ours or self._facade is None:
            return IMailAccount, account, logout
        try:
            return IAccountIMAP, await settled(self._facade(account)), logout
        except BaseException:  # cancelled too: raised again, with the account given back
            logout()
            raise


class _Once:
    """Calls a function the first time that it is called."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
