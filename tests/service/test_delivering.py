"""From a configuration to somebody's mail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from mailpost.accounts.interfaces import IUserDirectory
from mailpost.delivery.interfaces import IDeliveryFilter, IRecipients
from mailpost.delivery.records import Arrival, FileInto, LocalUser, Verdict
from mailpost.mail.errors import ErrorKind
from mailpost.service.assembly import build, survey
from mailpost.service.config import Config, ConfigError
from mailpost.service.configfile import parse
from mailpost.service.server import MailServer
from tests.delivery.post import Users, mail_of, send

TEXT = """\
[server]
hostname = "mail.example.org"
[storage]
maildir = "mail/{user}"
[users]
file = "users"
[recipients]
domains = ["example.org"]
aliases = "aliases"
catch_all = "ann"
postmaster = "Bob"
detail_separator = "--"
[listen]
imap = ["tcp:0:interface=127.0.0.1"]
[limits]
message = 1000
"""


@implementer(IDeliveryFilter)
class IntoSent:
    def decide(self, arrival: Arrival) -> Verdict:
        return Verdict(copies=(FileInto("Sent"),))


@implementer(IRecipients)
class Everybody:
    def resolve(self, address: str) -> list[LocalUser]:
        return [LocalUser("everybody")]


class Checker(Users):
    credentialInterfaces = ()

    def requestAvatarId(self, credentials: Any) -> Any:
        raise AssertionError("nobody logs in here")


class Tests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        (self.folder / "users").write_text("ann:{PLAIN}secret\nBob:!\n")
        (self.folder / "aliases").write_text("sales: ann--Sent, bob\nbad: |program\n")
        self.server: MailServer | None = None

    async def tearDown(self) -> None:
        if self.server is not None:
            await self.server.stopService()

    def config(self, text: str = TEXT) -> Config:
        return parse(text, self.folder / "mailpost.toml")

    def start(self, text: str = TEXT, **more: Any) -> MailServer:
        self.server = build(self.config(text), reactor, **more)
        self.server.startService()
        return self.server

    async def test_the_settings_hold(self) -> None:
        server = self.start()
        addresses = ["sales@example.org", "nobody@example.org", "Postmaster", "ann@elsewhere.example", "ann--Junk"]
        told = await send(server.receiver, addresses)
        self.assertEqual(told, [None, None, None, ErrorKind.RELAY_DENIED, None])
        for user, folder in (("ann", "Sent"), ("ann", "INBOX"), ("Bob", "INBOX"), ("ann", "Junk")):
            ((octets, _),) = await mail_of(server.store, user, folder)
            self.assertIn(b"by mail.example.org with LMTP", octets)
        (self.folder / "aliases").unlink()
        (self.folder / "aliases").write_text("nobody: bob\n")
        assert server.receiver is not None
        server.receiver.recipients._aliases._looked = 0.0  # type: ignore[attr-defined]
        self.assertEqual(await send(server.receiver, ["nobody"]), [None])
        self.assertEqual(len(await mail_of(server.store, "Bob")), 2)

    async def test_filters_and_recipients_of_the_program(self) -> None:
        server = self.start(filters=[IntoSent()], recipients=Everybody())
        self.assertEqual(await send(server.receiver, ["x@y.example"]), [None])
        self.assertEqual(len(await mail_of(server.store, "everybody", "Sent")), 1)

    async def test_without_a_users_file(self) -> None:
        text = TEXT.replace('file = "users"\n', "")
        checker = Checker("dora")
        assert IUserDirectory.providedBy(checker)
        server = self.start(text, checkers=[checker])
        self.assertEqual(await send(server.receiver, ["dora", "ann"]), [None, ErrorKind.NO_SUCH_USER])

    async def test_nothing_knows_users(self) -> None:
        class Other:
            credentialInterfaces = ()

        server = self.start(TEXT.replace('file = "users"\n', "").replace("aliases =", "# "), checkers=[Other()])
        self.assertIsNone(server.receiver)

    def test_what_check_says(self) -> None:
        lines = survey(self.config(), reactor)
        aliases = self.folder / "aliases"
        self.assertIn(f"aliases: 1 in {aliases}", lines)
        self.assertEqual([line.partition(" line")[0] for line in lines if "|program" in line], [f"warning: {aliases}:"])
        aliases.unlink()
        with pytest.raises(ConfigError, match=r"mailpost.toml:9: recipients.aliases: .*aliases is no file"):
            survey(self.config(), reactor)
        with pytest.raises(ConfigError, match=r"aliases is no file"):
            build(self.config(), reactor)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('domains = ["a@b"]', r'must be names such as "example.org"'),
        ('domains = [""]', r"must be names"),
        ('domains = "example.org"', r"must be a list"),
        ('detail_separator = "@"', r'must be something such as "\+"'),
        ("bare_names = 1", r"true or false"),
    ],
)
def test_settings_that_cannot_be(line: str, problem: str, tmp_path: Path) -> None:
    text = TEXT.partition("domains")[0] + line + "\n[listen]\nimap = ['tcp:0']\n"
    with pytest.raises(ConfigError, match=rf"mailpost.toml:8: recipients.*{problem}"):
        parse(text, tmp_path / "mailpost.toml")
