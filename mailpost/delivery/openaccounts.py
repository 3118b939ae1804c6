"""Accounts that mail has just come in for stay open for a while, since opening one again is much of a delivery's work.

Whoever opens an account that nobody has open looks through its folders first, as other programs may have made some.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from mailpost.storage.interfaces import IMailAccount, IMailStore
from mailpost.storage.offload import settled

HELD_SECONDS = 30.0
"""How long, at most, while further mail comes in. An open account hears of what other programs do, but takes memory and
descriptors."""
MOST_HELD = 64


class OpenAccounts:
    """The accounts of a store, some of them held."""

    def __init__(self, store: IMailStore, now: Callable[[], float]) -> None:
        """Accounts of this store; `now` tells seconds."""
        self._store = store
        self._now = now
        self._held: OrderedDict[str, tuple[float, IMailAccount]] = OrderedDict()
        """Those that are held, the oldest first, and since when."""

    async def open(self, user: str) -> IMailAccount:
        """The account of a user; whoever gets it releases it."""
        self._let_go()
        account: IMailAccount = await settled(self._store.account(user))
        if user not in self._held:
            try:
                again: IMailAccount = await settled(self._store.account(user))
            except BaseException:  # cancelled too: raised again, with the account given back
                account.release()
                raise
            if user in self._held:
                again.release()
            else:
                self._held[user] = (self._now(), again)
        return account

    def close(self) -> None:
        """Hold none any more."""
        while self._held:
            self._held.popitem()[1][1].release()

    def _let_go(self) -> None:
        """Release those that have been held for long enough, or are too many."""
        now = self._now()
        while self._held:
            since, account = next(iter(self._held.values()))
            if len(self._held) <= MOST_HELD and 0 <= now - since < HELD_SECONDS:
                return
            self._held.popitem(last=False)
            account.release()
