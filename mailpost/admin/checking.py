"""`mailpost check`, `reindex` and `backup`: accounts as they lie on the disk, beside a running server."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mailpost.accounts import userlist
from mailpost.accounts.account import UserNameError, checked_user
from mailpost.admin.commands import require_owner
from mailpost.admin.errors import CommandError
from mailpost.admin.options import Backup, Check, Reindex
from mailpost.mail.errors import MailError
from mailpost.service.assembly import users_now
from mailpost.service.config import Config
from mailpost.service.configfile import load
from mailpost.service.places import place
from mailpost.service.stores import open_store
from mailpost.storage.maildir import backup, checking, repairing
from mailpost.storage.maildir.account import MaildirAccount
from mailpost.storage.maildir.findings import Finding, Report
from mailpost.storage.maildir.layout import Hierarchy, Layout, layout_of
from mailpost.storage.offload import settled
from mailpost.wire.imap.structures import summarise

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account lies."""

    user: str
    root: Path
    index: Path | None
    layout: Layout


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def check(reactor: Any, options: Check) -> None:
    """`mailpost check`; ends with exit code 1 when something is found, and left so."""
    config = load(options["config"])

    async def one(where: Place) -> bool:
        before = _checked(where, full=options["full"])
        if not before.findings or not options["repair"]:
            for each in before.findings:
                _say(f"{where.user}: {each}; would {each.todo}")
            _sum_up(where, before)
            return not before.findings
        await _repair(reactor, config, where, before)
        after = _checked(where, full=options["full"])
        left = {(one.remedy, one.folder, one.what) for one in after.findings}
        for each in before.findings:
            word = "could not" if (each.remedy, each.folder, each.what) in left else "did"
            _say(f"{where.user}: {each}; {word} {each.todo}")
        known = {(one.remedy, one.folder, one.what) for one in before.findings}
        for each in after.findings:
            if (each.remedy, each.folder, each.what) not in known:
                _say(f"{where.user}: {each}; would {each.todo}")
        _sum_up(where, after)
        return not after.findings

    await _each(config, options, one)


async def reindex(reactor: Any, options: Reindex) -> None:
    """`mailpost reindex`."""
    config = load(options["config"])

    async def one(where: Place) -> bool:
        if options["state"]:
            await _with_account(reactor, config, where, repairing.settle)
            aside = repairing.set_state_aside(where.root, where.index)
            await _with_account(reactor, config, where, repairing.settle)
            _say(f"{where.user}: the state was built anew out of the tree; the old one is {aside}")
        repairing.discard_cache(where.root, where.index)
        count = await _with_account(reactor, config, where, repairing.reindex)
        _say(f"{where.user}: {count} {'message' if count == 1 else 'messages'} indexed")
        return True

    await _each(config, options, one)


async def back_up(reactor: Any, options: Backup) -> None:
    """`mailpost backup`."""
    config = load(options["config"])

    async def one(where: Place) -> bool:
        count = backup.backup(where.root, where.index, where.layout, options["directory"])
        _say(f"{where.user}: {count} {'message' if count == 1 else 'messages'} in {options['directory']}")
        return True

    await _each(config, options, one)


def _checked(where: Place, *, full: bool) -> Report:
    sample = None if full else checking.SAMPLE
    return checking.check(where.root, where.index, where.layout, summarise, sample=sample)


def _sum_up(where: Place, report: Report) -> None:
    found = len(report.findings)
    verdict = "all is well" if not found else f"{found} {'thing is' if found == 1 else 'things are'} wrong"
    coming = f"; {report.coming} changes on their way" if report.coming else ""
    _say(f"{where.user}: {report.messages} messages in {report.folders} folders: {verdict}{coming}")


async def _repair(reactor: Any, config: Config, where: Place, report: Report) -> None:
    findings: list[Finding] = report.findings
    repairing.repair_closed(where.root, where.index, findings)
    with checking.nobody_else(where.root, where.index) as alone:
        pass

    async def mend(account: MaildirAccount) -> None:
        await repairing.repair(account, findings, alone=alone)
        if alone:
            await repairing.settle(account)

    await _with_account(reactor, config, where, mend)


async def _with_account(reactor: Any, config: Config, where: Place, use: Callable[[MaildirAccount], Awaitable[T]]) -> T:
    """Open an account, and close it with all that is behind."""
    store = open_store(config, reactor, users_now(config, reactor))
    try:
        account: MaildirAccount = await settled(store.account(where.user))  # type: ignore[arg-type]
        try:
            return await use(account)
        finally:
            account.release()
    finally:
        await settled(store.close())


async def _each(config: Config, options: Any, work: Callable[[Place], Awaitable[bool]]) -> None:
    """Do it for every user that is meant; one that fails stops no other. Exit code 1 unless all is well."""
    well = True
    for user in _users(config, options):
        try:
            root = place(config.storage.maildir, checked_user(user))
            if not root.is_dir():
                if options["all"]:
                    continue
                raise CommandError(f"there is no mail of {user}")
            require_owner(root)
            index = place(config.storage.index, user) if config.storage.index else None
            layout = layout_of(Hierarchy(config.storage.layout), config.storage.separator, config.storage.utf8)
            well = await work(Place(user, root, index, layout)) and well
        except (CommandError, MailError, OSError, UserNameError) as problem:
            if not options["all"]:
                raise
            sys.stderr.write(f"mailpost: {user}: {problem}\n")
            well = False
    if not well:
        raise SystemExit(1)


def _users(config: Config, options: Any) -> Iterator[str]:
    if not options["all"]:
        yield options["name"]
    elif config.users.file is None:
        raise CommandError(f"{config.source.place('users', 'file')}is missing")
    else:
        yield from userlist.names(config.users.file)
