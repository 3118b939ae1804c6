from __future__ import annotations

import io
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from mailpost.accounts.passwords import verify
from mailpost.accounts.usersfile import parse
from mailpost.admin import commands
from mailpost.admin.errors import CommandError, SourceError
from mailpost.admin.main import main
from mailpost.admin.options import Options

CONFIG = """
[storage]
maildir = "mail/{user}"
[users]
file = "users"
[listen]
imap = ["tcp:0:interface=127.0.0.1"]
"""


def options(*words: str) -> Any:
    """What the words after the command's own are parsed to."""
    parsed: Any = Options()  # type: ignore[no-untyped-call]
    parsed.parseOptions(words)
    while getattr(parsed, "subOptions", None) is not None:
        parsed = parsed.subOptions
    return parsed


class Stdin:
    def __init__(self, octets: bytes) -> None:
        self.buffer = io.BytesIO(octets)

    def isatty(self) -> bool:
        return False


class Tests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.config = str(self.folder / "mailpost.toml")
        Path(self.config).write_text(CONFIG)
        self.out = io.StringIO()
        self.patch(commands.sys, "stdout", self.out)

    def run_command(self, function: Any, *words: str, stdin: bytes = b"secret\n") -> Any:
        with patch.object(commands.sys, "stdin", Stdin(stdin)):
            return function(reactor, options(*words, "--config", self.config))

    def users(self) -> str:
        return (self.folder / "users").read_text()

    def test_users(self) -> None:
        self.run_command(commands.add_user, "user", "add", "ann", "--password-stdin", "--scheme", "PBKDF2")
        name, stored = self.users().split(":")[:2]
        self.assertEqual(name, "ann")
        self.assertTrue(verify(stored, b"secret"))
        self.assertEqual(stat.S_IMODE((self.folder / "users").stat().st_mode), 0o600)
        self.run_command(
            commands.change_password, "user", "passwd", "--password-stdin", "ann", "-s", "plain", stdin=b"new one\r\n"
        )
        self.assertEqual(self.users(), "ann:{PLAIN}new one::::::\n")
        self.run_command(commands.list_users, "user", "list")
        self.assertEqual(self.out.getvalue().splitlines()[-1], "ann  no mail yet")
        self.run_command(commands.limit_user, "user", "quota", "ann", "2G")
        self.assertEqual(self.users(), "ann:{PLAIN}new one::::::userdb_quota_rule=*:storage=2G\n")
        with pytest.raises(CommandError, match='"much" is no size'):
            self.run_command(commands.limit_user, "user", "quota", "ann", "much")
        self.run_command(commands.limit_user, "user", "quota", "ann", "none")
        self.assertEqual(self.users(), "ann:{PLAIN}new one::::::\n")
        self.run_command(commands.remove_user, "user", "remove", "ann")
        self.assertEqual(self.users(), "")
        self.assertNotIn("secret", self.out.getvalue())

    async def test_the_list_tells_what_mail_takes_and_may_take(self) -> None:
        (self.folder / "users").write_text(
            "ann:{PLAIN}x::::::userdb_quota_rule=*:storage=2G:messages=1000\nbobby:{PLAIN}x\n"
        )
        (self.folder / "one.eml").write_bytes(b"Subject: x\r\n\r\n" + b"x" * 2035)
        await self.run_command(commands.import_mail, "import", "ann", str(self.folder / "one.eml"))
        await self.run_command(commands.import_mail, "import", "bobby", str(self.folder / "one.eml"))
        self.run_command(commands.list_users, "user", "list")
        self.assertEqual(
            self.out.getvalue().splitlines()[-2:],
            ["ann    2.00kB of 2.00GB, 1 messages of 1000 messages", "bobby  2.00kB, 1 messages"],
        )

    def test_verifiers_for_scram_are_kept_beside_the_hash(self) -> None:
        for stdin, function, word in (
            (b"secret\n", commands.add_user, "add"),
            (b"other\n", commands.change_password, "passwd"),
        ):
            self.run_command(function, "user", word, "ann", "--password-stdin", "--scheme", "PBKDF2", stdin=stdin)
            line, comment = self.users().splitlines()
            self.assertTrue(comment.startswith("#mailpost_scram:ann:"))
            user = parse(self.users()).users["ann"]
            self.assertEqual([each.mechanism for each in user.verifiers], ["SCRAM-SHA-256", "SCRAM-SHA-1"])
            self.assertTrue(all(each.made_from(stdin.strip()) for each in user.verifiers))
            self.assertTrue(verify(line.split(":")[1], stdin.strip()))

    def test_a_password_needs_a_terminal_or_the_option(self) -> None:
        with pytest.raises(CommandError, match="--password-stdin"):
            self.run_command(commands.add_user, "user", "add", "ann")
        with (
            patch.object(commands.getpass, "getpass", side_effect=["one", "other"]),
            patch.object(Stdin, "isatty", lambda _: True),
            pytest.raises(CommandError, match="not the same"),
        ):
            self.run_command(commands.add_user, "user", "add", "ann")
        self.assertFalse((self.folder / "users").exists())

    def test_no_such_user(self) -> None:
        with pytest.raises(CommandError, match="no user ann"):
            self.run_command(commands.change_password, "user", "passwd", "ann", "--password-stdin")

    async def test_mail_comes_in_and_is_shown(self) -> None:
        source = self.folder / "source"
        source.mkdir()
        (source / "more").mkdir()
        for number in range(3):
            (source / f"{number}.eml").write_bytes(b"Subject: %d\n\nText\n" % number)
        await self.refused("there is no user ann", commands.import_mail, "import", "ann", str(source))
        self.run_command(commands.add_user, "user", "add", "ann", "--password-stdin", "-s", "PLAIN")
        await self.refused("ann has no mail yet", commands.list_folders, "mailbox", "list", "ann")
        with pytest.raises(SourceError):
            await self.run_command(commands.import_mail, "import", "ann", str(self.folder / "none"))
        self.assertFalse((self.folder / "mail").exists(), "nothing is made before there is something to import")
        for _ in range(2):
            await self.run_command(commands.import_mail, "import", "ann", str(source), "--folder", "Old/Letters")
            await self.run_command(commands.import_mail, "import", "ann", str(source / "0.eml"))
        await self.run_command(commands.list_folders, "mailbox", "list", "ann")
        await self.run_command(commands.show_status, "mailbox", "status", "ann")
        lines = self.out.getvalue().splitlines()
        self.assertIn("Old/Letters: 3 messages added", lines)
        self.assertIn("INBOX: 1 message added", lines)
        self.assertIn("1 was there already", lines)
        self.assertIn(f"left out: {source}/more, a directory that holds no folder of it", lines)
        self.assertIn("3 were there already", lines)
        self.assertIn("Sent  \\Sent", lines)
        self.assertIn(["3", "3", "60", "4", "Old/Letters"], [line.split() for line in lines])
        for place, folders, files in os.walk(self.folder / "mail" / "ann"):
            self.assertEqual(stat.S_IMODE(os.stat(place).st_mode), 0o700, place)
            for name in files:
                self.assertEqual(stat.S_IMODE(os.stat(Path(place) / name).st_mode), 0o600, name)
            self.assertTrue(folders or files or Path(place).name in {"cur", "new", "tmp"})

    async def test_the_superuser_makes_no_files_in_the_mail_of_others(self) -> None:
        self.run_command(commands.add_user, "user", "add", "ann", "--password-stdin", "-s", "PLAIN")
        for uid, name in ((1, pwd.getpwuid(1).pw_name), (2**31 - 2, "user 2147483646")):
            status = os.stat_result((0o40700, 0, 0, 1, uid, 0, 0, 0, 0, 0))
            with patch.object(commands.os, "geteuid", return_value=0), patch.object(Path, "stat", return_value=status):
                await self.refused(f"belongs to {name}; run this", commands.list_folders, "mailbox", "list", "ann")

    async def refused(self, text: str, function: Any, *words: str) -> None:
        with pytest.raises(CommandError, match=text):
            await self.run_command(function, *words)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "which of user, mailbox, queue, import, check, reindex, backup, serve-tests?"),
        (["user"], 2, "which of add, passwd, quota, list, remove?"),
        (["user", "add"], 2, "Usage: mailpost user add NAME"),
        (["user", "add", "ann", "--nope"], 2, "option --nope not recognized"),
        (["import", "ann"], 2, "Usage: mailpost import USER PATH"),
        (["mailbox", "show"], 2, "Unknown command: show"),
    ],
)
def test_what_is_not_understood(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [("-f", ""), ("--folder", ""), ("--folder=",), ("--fol", "")])
def test_an_empty_value_is_a_value(words: tuple[str, ...]) -> None:
    given = options("import", "ann", "source", *words, "--config", "file")
    assert (given["folder"], given["name"], given["path"], given["config"]) == ("", "ann", Path("source"), Path("file"))


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("mailpost ")


def test_a_failure_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mailpost.admin.main", "user", "list", "--config", str(tmp_path / "none.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"mailpost: {tmp_path}/none.toml: cannot be read: No such file or directory\n"
    assert done.stdout == ""
