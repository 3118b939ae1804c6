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
        first = [part for name, value in found for part in ([name, value] if self._takes_value(name) else [name])]
        super().parseOptions([*first, "--", *arguments])  # type: ignore[no-untyped-call]

    def _takes_value(self, name: str) -> bool:
        return f"{name[2:]}=" in self.longOpt if name.startswith("--") else f"{name[1:]}:" in self.shortOpt


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


class Quota(Named):
    """A user's limit on room."""

    arguments = "NAME SIZE|none"
    longdesc = 'SIZE is such as 500M or 2G; 0 is no limit; "none" is what the configuration says for all.'

    def parseArgs(self, name: str, room: str) -> None:  # type: ignore[override]
        """Take user and size."""
        self["name"] = name
        self["room"] = "" if room == "none" else room


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
        ["quota", None, Quota, "Limit the room that a user's mail may take."],
        ["list", None, Configured, "List the users, what their mail takes, and may take."],
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


class _Users(Configured):
    """A command about one user or about all."""

    arguments = "USER|--all"
    optFlags: Sequence[Sequence[Any]] = [["all", "a", "All users of the users file."]]

    def parseArgs(self, *names: str) -> None:
        """Take the user's name, unless all are meant."""
        if len(names) != (0 if self["all"] else 1):
            raise usage.UsageError("name one user, or say --all")
        self["name"] = names[0] if names else None


class Check(_Users):
    """Check accounts."""

    longdesc = (
        "Compares files, UID lists, index and cache. Only reads, unless --repair is given. Exit code 0: all is well;"
        " 1: something is not (or could not be repaired)."
    )
    optFlags: Sequence[Sequence[Any]] = [
        *_Users.optFlags,
        ["repair", "r", "Put right what is found."],
        ["full", None, "Compare the cache with all messages, not with some of them."],
    ]


class Reindex(_Users):
    """Build the index anew."""

    longdesc = "Throws the cache away and builds it anew, beside a running server too."
    optFlags: Sequence[Sequence[Any]] = [
        *_Users.optFlags,
        ["state", None, "Build the state anew too, out of the Maildir; stop the server before."],
    ]


class Backup(Configured):
    """Copy an account."""

    arguments = "USER DIRECTORY"
    longdesc = "Makes a copy that can be put in the account's place; the server may run meanwhile."

    def parseArgs(self, name: str, path: str) -> None:  # type: ignore[override]
        """Take user and directory."""
        self["name"] = name
        self["all"] = False
        self["directory"] = Path(path)


class QueuedOne(Configured):
    """A command about one queued message."""

    arguments = "MESSAGE"

    def parseArgs(self, name: str) -> None:  # type: ignore[override]
        """Take its name."""
        self["names"] = [name]


class QueuedSome(Configured):
    """A command about queued messages."""

    arguments = "MESSAGE...|--all"
    optFlags: Sequence[Sequence[Any]] = [["all", "a", "All messages in the queue."]]

    def parseArgs(self, *names: str) -> None:
        """Take their names, unless all are meant."""
        if bool(names) == bool(self["all"]):
            raise usage.UsageError("name messages, or say --all")
        self["names"] = list(names)


class Queue(_Group):
    """Commands about mail that waits to be sent."""

    subCommands = [
        ["list", None, Configured, "List what waits, for whom, and why."],
        ["show", None, QueuedOne, "Show one message."],
        ["retry", None, QueuedSome, "Send messages again now."],
        ["remove", None, QueuedSome, "Remove messages; nobody is told."],
    ]


class ServeTests(Command):
    """A throwaway server for tests in any language: it prints where it listens, and stays until its input ends.

    Mail is in memory, every address is a user by any password, and all ports are on loopback.
    """

    optFlags: Sequence[Sequence[Any]] = [["json", None, "Print one line of JSON, for programs."]]
    optParameters: Sequence[Sequence[Any]] = [["faults", None, None, "A file of what is to go wrong.", Path]]


class Options(_Group):
    """Everything."""

    subCommands = [
        ["user", None, User, "Users: add, passwd, quota, list, remove."],
        ["mailbox", None, Mailbox, "Folders of a user: list, status."],
        ["queue", None, Queue, "Mail that waits to be sent: list, show, retry, remove."],
        ["import", None, Import, "Bring in mail of other programs."],
        ["check", None, Check, "Whether files, index and cache agree; --repair."],
        ["reindex", None, Reindex, "Build the index anew."],
        ["backup", None, Backup, "Copy an account, while the server runs."],
        ["serve-tests", None, ServeTests, "A throwaway server for tests, until its input ends."],
    ]
