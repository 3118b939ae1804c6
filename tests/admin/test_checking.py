from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from mailpost.accounts import userlist
from mailpost.admin import checking, commands
from mailpost.admin.errors import CommandError
from mailpost.mail.errors import MailError
from mailpost.storage.maildir import checking as storage
from tests.admin.test_commands import CONFIG, options


class Tests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.config = str(self.folder / "mailpost.toml")
        Path(self.config).write_text(CONFIG)
        for user in ("ann", "bob"):
            userlist.add(self.folder / "users", user, "{PLAIN}x")
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(checking.sys, "stdout", self.out)
        self.patch(checking.sys, "stderr", self.err)
        self.patch(storage, "_PAUSES", (0.02,))

    async def run_command(self, function: Any, *words: str) -> list[str]:
        """What it says."""
        self.out.seek(0)
        self.out.truncate()
        await function(reactor, options(*words, "--config", self.config))
        return self.out.getvalue().splitlines()

    async def fill(self) -> None:
        source = self.folder / "source"
        source.mkdir()
        for number in range(3):
            (source / f"{number}.eml").write_bytes(b"Subject: %d\n\nText\n" % number)
        await self.run_command(commands.import_mail, "import", "ann", str(source))

    def damage(self, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / "mail" / "ann" / "mailpost-state.sqlite3")) as db:
            db.execute(statement)
            db.commit()

    async def test_check_says_what_it_finds_and_repairs_it(self) -> None:
        await self.fill()
        well = ["ann: 3 messages in 6 folders: all is well"]
        self.assertEqual(await self.run_command(checking.check, "check", "--all"), well)
        self.damage("UPDATE folders SET uidnext=2 WHERE directory='.'")
        for _ in range(2):
            with pytest.raises(SystemExit) as left:
                await self.run_command(checking.check, "check", "ann")
            self.assertEqual(left.value.code, 1)
            lines = self.out.getvalue().splitlines()
            self.assertEqual(lines[0], "ann: INBOX: UIDs that are not below the next UID 2: 2, 3; would mend the rows")
            self.assertEqual(lines[-1], "ann: 3 messages in 6 folders: 1 thing is wrong")
        lines = await self.run_command(checking.check, "check", "ann", "--repair")
        self.assertEqual(lines[0], "ann: INBOX: UIDs that are not below the next UID 2: 2, 3; did mend the rows")
        self.assertEqual(await self.run_command(checking.check, "check", "ann", "--full"), well)

    async def test_reindex_and_backup(self) -> None:
        await self.fill()
        self.assertEqual(await self.run_command(checking.reindex, "reindex", "--all"), ["ann: 3 messages indexed"])
        lines = await self.run_command(checking.reindex, "reindex", "ann", "--state")
        self.assertIn("the state was built anew out of the tree; the old one is", lines[0])
        copy = self.folder / "copy"
        lines = await self.run_command(checking.back_up, "backup", "ann", str(copy))
        self.assertEqual(lines, [f"ann: 3 messages in {copy}"])
        self.assertTrue((copy / "mailpost-state.sqlite3").is_file())

    async def test_who_is_not_there(self) -> None:
        for function, words in ((checking.check, ("check", "carl")), (checking.reindex, ("reindex", "bob"))):
            with pytest.raises(CommandError, match="there is no mail of"):
                await self.run_command(function, *words)
        self.assertEqual(await self.run_command(checking.check, "check", "--all"), [])

    async def test_one_that_cannot_be_checked_stops_no_other(self) -> None:
        await self.fill()
        (self.folder / "mail" / "bob").mkdir(0o700)
        self.damage("PRAGMA user_version=99")
        with pytest.raises(SystemExit):
            await self.run_command(checking.check, "check", "--all")
        self.assertIn("mailpost: ann: This account was written by a newer version", self.err.getvalue())
        self.assertIn("bob: 0 messages", self.out.getvalue())
        with pytest.raises(MailError, match="newer version"):
            await self.run_command(checking.check, "check", "ann")
