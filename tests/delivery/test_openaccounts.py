from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from mailpost.delivery.openaccounts import HELD_SECONDS, MOST_HELD, OpenAccounts


class Account:
    def __init__(self) -> None:
        self.uses = 0

    def release(self) -> None:
        self.uses -= 1
        assert self.uses >= 0


class Store:
    """Counts who has an account open, and how often one was woken up."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.woken: list[str] = []

    def account(self, user: str) -> Any:
        account = self.accounts.setdefault(user, Account())
        if not account.uses:
            self.woken.append(user)
        account.uses += 1
        return succeed(account)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(accounts: OpenAccounts, user: str) -> None:
    """Open it and release it, as a delivery does."""
    found: list[Any] = []
    Deferred.fromCoroutine(accounts.open(user)).addCallback(found.append)
    found[0].release()


def test_an_account_is_woken_once_while_mail_comes_in_for_it() -> None:
    store, clock = Store(), Clock()
    accounts = OpenAccounts(store, clock)  # type: ignore[arg-type]
    for _ in range(5):
        opened(accounts, "ann")
        opened(accounts, "bob")
    assert store.woken == ["ann", "bob"]
    assert store.accounts["ann"].uses == 1
    clock.now += HELD_SECONDS
    opened(accounts, "ann")
    assert store.woken == ["ann", "bob", "ann"]
    assert store.accounts["bob"].uses == 0
    accounts.close()
    assert store.accounts["ann"].uses == 0


def test_a_clock_that_is_set_back_keeps_none() -> None:
    store, clock = Store(), Clock()
    accounts = OpenAccounts(store, clock)  # type: ignore[arg-type]
    opened(accounts, "ann")
    clock.now -= 1000
    opened(accounts, "bob")
    assert store.accounts["ann"].uses == 0


def test_only_some_are_held() -> None:
    store = Store()
    accounts = OpenAccounts(store, Clock())  # type: ignore[arg-type]
    for number in range(3 * MOST_HELD):
        opened(accounts, f"user{number}")
    held = [user for user, account in store.accounts.items() if account.uses]
    assert MOST_HELD <= len(held) <= MOST_HELD + 1
    assert held[-1] == f"user{3 * MOST_HELD - 1}"
