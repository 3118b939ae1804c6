"""What can stand behind `mailpost`, in the way of Twisted's `usage`; options may stand behind arguments."""

from __future__ import annotations

from collections.abc import Sequence
from getopt import GetoptError, gnu_getopt
from pathlib import Path
from typing import Any

from twisted.python import usage

from mailpost._version import __version__


class Command(usage.Options):
    """A command, or a group of them."""

    arguments = ""
    """What stands behind the command, for its help."""

    def getSynopsis(self) -> str:
        """The first line of the help."""
        words: list[str] = []
        above = self.parent
        while above is not None:
            words.insert(0, above.subCommand or "")
            above = above.parent
        return " ".join(["Usage: mailpost", *words, *([self.arguments] if self.arguments else []), "[options]"])

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"mailpost {__version__}")  # noqa: T201
        raise SystemExit(0)


class Mixed(Command):
    """Options that may stand before, between and behind arguments."""

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse a command line, its options first."""
        try:
            found, arguments = gnu_getopt(list(options or ()), self.shortOpt, self.longOpt)
        except GetoptError as problem:
            raise usage.UsageError(str(problem)) from None
        first = [part for name, value in found for part in (name, value) if part]
        super().parseOptions([*first, "--", *arguments])  # type: ignore[no-untyped-call]


class Configured(Mixed):
    """A command that needs the server's configuration."""

    optParameters: Sequence[Sequence[Any]] = [
        ["config", "c", Path("mailpost.toml"), "The server's configuration file.", Path]
    ]


class Named(Configured):
    """A command about one user."""

    arguments = "NAME"

    def parseArgs(self, name: str) -> None:  # type: ignore[override]
        """Take the user's name."""
        self["name"] = name


class PasswordFor(Named):
    """A command that sets a password."""

    arguments = "NAME"
    optFlags: Sequence[Sequence[Any]] = [
        ["password-stdin", None, "Read the password from the first line of standard input."]
    ]
    optParameters: Sequence[Sequence[Any]] = [
        *Configured.optParameters,
        ["scheme", "s", "ARGON2ID", "How the password is kept; Dovecot's name of the scheme."],
    ]


class _Group(Command):
    """Commands about one kind of thing."""

    subCommands: Sequence[Sequence[Any]] = ()

    def postOptions(self) -> None:
        """Refuse to do nothing."""
        if not self.subCommand:
            raise usage.UsageError("which of " + ", ".join(each[0] for each in self.subCommands) + "?")


class User(_Group):
    """Commands about users."""

    subCommands = [
        ["add", None, PasswordFor, "Add a user."],
        ["passwd", None, PasswordFor, "Give a user a new password."],
        ["list", None, Configured, "List the users."],
        ["remove", None, Named, "Take a user off the list; the mail stays."],
    ]


class Mailbox(_Group):
    """Commands about folders."""

    subCommands = [
        ["list", None, Named, "List a user's folders."],
        ["status", None, Named, "Show how much is in them."],
    ]


class Import(Configured):
    """Import mail."""

    arguments = "USER PATH"
    longdesc = "PATH is an mbox file, a Maildir, or a directory of .eml or .txt files. A second run adds nothing twice."
    optParameters: Sequence[Sequence[Any]] = [
        *Configured.optParameters,
        ["folder", "f", None, "The folder to import into, made if it is not there; INBOX if not given."],
    ]

    def parseArgs(self, name: str, path: str) -> None:  # type: ignore[override]
        """Take user and path."""
        self["name"] = name
        self["path"] = Path(path)


class Options(_Group):
    """Everything."""

    subCommands = [
        ["user", None, User, "Users: add, passwd, list, remove."],
        ["mailbox", None, Mailbox, "Folders of a user: list, status."],
        ["import", None, Import, "Bring in mail of other programs."],
    ]
