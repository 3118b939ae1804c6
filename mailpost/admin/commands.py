"""What the `mailpost` commands do, beside a running server or without one."""

from __future__ import annotations

import getpass
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mailpost.accounts import userlist
from mailpost.accounts.account import checked_user
from mailpost.accounts.passwords import hashed, plain_of
from mailpost.accounts.verifiers import beside
from mailpost.admin.errors import CommandError
from mailpost.admin.importing import Imported, import_messages
from mailpost.admin.options import Configured, Import, Named, PasswordFor, Quota
from mailpost.admin.sources import open_source
from mailpost.service.assembly import users_now
from mailpost.service.config import Config
from mailpost.service.configfile import load
from mailpost.service.places import place
from mailpost.service.stores import open_store
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.maildir.checking import usage_of
from mailpost.storage.offload import settled
from mailpost.storage.records import QuotaLimit, Usage


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


# -- users


def add_user(reactor: Any, options: PasswordFor) -> None:
    """`mailpost user add`."""
    config = load(options["config"])
    name = checked_user(options["name"])
    place(config.storage.maildir, name)
    userlist.add(_users(config), name, *_stored(options))
    _say(f"user {name} added")


def change_password(reactor: Any, options: PasswordFor) -> None:
    """`mailpost user passwd`."""
    users = _users(load(options["config"]))
    if options["name"] not in userlist.names(users):
        raise CommandError(f"there is no user {options['name']}")
    userlist.change(users, options["name"], *_stored(options))
    _say(f"password of {options['name']} changed")


def limit_user(reactor: Any, options: Quota) -> None:
    """`mailpost user quota`."""
    try:
        userlist.limit(_users(load(options["config"])), options["name"], options["room"])
    except ValueError as problem:
        raise CommandError(str(problem)) from None
    _say(f"quota of {options['name']} changed")


def _stored(options: PasswordFor) -> tuple[str, str]:
    """The hash of a password, and the SCRAM verifiers to be kept beside it."""
    password = _password(options)
    stored = hashed(password, options["scheme"])
    return stored, "" if plain_of(stored) is not None else beside(stored, password)


def list_users(reactor: Any, options: Configured) -> None:
    """`mailpost user list`."""
    config = load(options["config"])
    users = userlist.users(_users(config))
    width = max((len(user.name) for user in users), default=0)
    for user in users:
        index = place(config.storage.index, user.name) if config.storage.index else None
        used = usage_of(place(config.storage.maildir, user.name), index)
        limit = QuotaLimit(config.limits.quota) if user.quota is None else user.quota
        _say(f"{user.name:{width}}  {_room(used, limit)}")


def _room(used: Usage | None, limit: QuotaLimit) -> str:
    """What a user's mail takes, of what it may take."""
    if used is None:
        return "no mail yet"
    words = [_octets(used.octets), f"{used.messages} messages"]
    most = [_octets(limit.octets), f"{limit.messages} messages"]
    return ", ".join(
        word if bound is None else f"{word} of {at_most}"
        for word, at_most, bound in zip(words, most, (limit.octets, limit.messages), strict=True)
    )


def _octets(number: int | None) -> str:
    """Such as "1.4 GB"; "" for None."""
    return "" if number is None else tqdm.format_sizeof(number, "B", 1024)


def remove_user(reactor: Any, options: Named) -> None:
    """`mailpost user remove`."""
    userlist.remove(_users(load(options["config"])), options["name"])
    _say(f"user {options['name']} removed; the mail is still there")


def _users(config: Config) -> Path:
    if config.users.file is None:
        raise CommandError(f"{config.source.place('users', 'file')}is missing")
    return config.users.file


def _password(options: PasswordFor) -> bytes:
    if options["password-stdin"]:
        return sys.stdin.buffer.readline().rstrip(b"\r\n")
    if not sys.stdin.isatty():
        raise CommandError("no terminal to ask for a password; use --password-stdin")
    password = getpass.getpass(f"Password for {options['name']}: ")
    if getpass.getpass("Again: ") != password:
        raise CommandError("the two are not the same")
    return password.encode()


# -- mail


async def list_folders(reactor: Any, options: Named) -> None:
    """`mailpost mailbox list`."""

    async def show(account: IMailAccount) -> None:
        subscribed = account.subscriptions()
        for folder in account.folders():
            marks = [folder.special_use.value] if folder.special_use else []
            marks += [] if folder.selectable else ["(no messages of its own)"]
            marks += [] if folder.name in subscribed or not folder.selectable else ["(not subscribed)"]
            _say("  ".join([folder.name, *marks]))

    await _with_account(reactor, options, show)


async def show_status(reactor: Any, options: Named) -> None:
    """`mailpost mailbox status`."""

    async def show(account: IMailAccount) -> None:
        _say(f"{'messages':>9} {'unseen':>9} {'octets':>13} {'next UID':>9}  folder")
        for folder in account.folders():
            if folder.selectable:
                status = await settled(account.status(folder.name))
                counts = f"{status.messages:9} {status.unseen:9} {status.size:13} {status.uidnext:9}"
                _say(f"{counts}  {folder.name}")

    await _with_account(reactor, options, show)


async def import_mail(reactor: Any, options: Import) -> None:
    """`mailpost import`."""
    source = open_source(options["path"], load(options["config"]).storage.separator)

    async def bring_in(account: IMailAccount) -> None:
        with tqdm(total=source.size, unit="B", unit_scale=True, disable=None, file=sys.stderr) as bar:
            done: Imported = await import_messages(account, source.messages, options["folder"], bar.update)
        for name, count in sorted(done.added.items()):
            _say(f"{name}: {count} {'message' if count == 1 else 'messages'} added")
        if done.known:
            _say(f"{done.known} {'was' if done.known == 1 else 'were'} there already")
        for each in source.left_out:
            _say(f"left out: {each}, a directory that holds no folder of it")

    await _with_account(reactor, options, bring_in, new=True)


def require_owner(root: Path) -> None:
    """Refuse to make files as the superuser in somebody's mail: whoever serves it could not read them."""
    there = next(each for each in (root, *root.parents) if each.is_dir())
    owner = there.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        raise CommandError(f"{there} belongs to {_user_name(owner)}; run this as that user")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


async def _with_account(
    reactor: Any, options: Configured, use: Callable[[IMailAccount], Any], new: bool = False
) -> None:
    """Open the account of a known user, and close everything in the end."""
    config = load(options["config"])
    name = checked_user(options["name"])
    root = place(config.storage.maildir, name)
    require_owner(root)
    if not root.is_dir():
        known = config.users.file is not None and name in userlist.names(config.users.file)
        if not (new and known):
            raise CommandError(f"{name} has no mail yet" if known else f"there is no user {name}")
    store = open_store(config, reactor, users_now(config, reactor))
    try:
        account = await settled(store.account(name))
        try:
            await use(account)
        finally:
            account.release()
    finally:
        await settled(store.close())
