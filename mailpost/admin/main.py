"""The `mailpost` command."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python import usage

from mailpost.accounts.account import UserNameError
from mailpost.accounts.passwords import HashError
from mailpost.accounts.userlist import UserListError
from mailpost.admin.errors import CommandError, SourceError
from mailpost.admin.options import Options
from mailpost.mail.errors import MailError
from mailpost.service.config import ConfigError
from mailpost.service.server import CannotStartError
from mailpost.storage.offload import settled

_COMMANDS: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("user", "add"): ("commands", "add_user"),
    ("user", "passwd"): ("commands", "change_password"),
    ("user", "quota"): ("commands", "limit_user"),
    ("user", "list"): ("commands", "list_users"),
    ("user", "remove"): ("commands", "remove_user"),
    ("mailbox", "list"): ("commands", "list_folders"),
    ("mailbox", "status"): ("commands", "show_status"),
    ("queue", "list"): ("queueing", "list_queue"),
    ("queue", "show"): ("queueing", "show"),
    ("queue", "retry"): ("queueing", "retry"),
    ("queue", "remove"): ("queueing", "remove"),
    ("import",): ("commands", "import_mail"),
    ("check",): ("checking", "check"),
    ("reindex",): ("checking", "reindex"),
    ("backup",): ("checking", "back_up"),
    ("serve-tests",): ("servetests", "serve_tests"),
}
"""Module and function, loaded when the command is chosen: programs start `serve-tests` often."""
_EXPECTED = (
    CannotStartError,
    CommandError,
    ConfigError,
    HashError,
    MailError,
    OSError,
    SourceError,
    UserListError,
    UserNameError,
)
"""What a person at the terminal can do something about: told in one line, without a traceback."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; ends the process with 0, 1 if it could not be done, 2 if it was not understood."""
    options = Options()  # type: ignore[no-untyped-call]
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else list(arguments))  # type: ignore[no-untyped-call]
    except usage.UsageError as problem:
        _, command = _chosen(options)
        sys.stderr.write(f"{command}\nmailpost: {problem}\n")
        raise SystemExit(2) from None
    path, command = _chosen(options)
    from twisted.internet.task import react  # noqa: PLC0415 (installs the reactor)

    react(lambda reactor: Deferred.fromCoroutine(_run(reactor, path, command)))


def _chosen(options: Any) -> tuple[tuple[str, ...], Any]:
    """The words of the command, and its options."""
    path: tuple[str, ...] = ()
    while getattr(options, "subOptions", None) is not None:
        path = (*path, options.subCommand)
        options = options.subOptions
    return path, options


async def _run(reactor: Any, path: tuple[str, ...], options: Any) -> None:
    try:
        module, name = _COMMANDS[path]
        await settled(getattr(import_module(f"mailpost.admin.{module}"), name)(reactor, options))
    except _EXPECTED as problem:
        sys.stderr.write(f"mailpost: {problem}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
