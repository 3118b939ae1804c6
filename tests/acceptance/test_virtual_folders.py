"""A program's folders over a socket, as clients meet them."""

from __future__ import annotations

import imaplib
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imapclient import IMAPClient
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from mailpost import api
from mailpost.mail import searchkeys
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute
from tests.corpus import a_round, messages

LOOPBACK = "tcp:0:interface=127.0.0.1"


class Alerts(api.VirtualFolder):
    """Text by number."""

    poll = None

    def __init__(self, count: int = 3) -> None:
        self.texts = {number: f"alert {number}" for number in range(1, count + 1)}
        self.fetched = 0

    def list(self) -> Any:
        return [api.Item(number, text, 1_000_000_000 + number) for number, text in self.texts.items()]

    def fetch(self, item: Any) -> Any:
        self.fetched += 1
        return f"Subject: {self.texts[item]}\n\nIt is {self.texts[item]}.\n".encode()


TUID = re.compile(rb"^X-TUID: .*\n", re.MULTILINE)
"""The mark that mbsync puts into a message."""
MBSYNC = """\
IMAPStore far
Host 127.0.0.1
Port {port}
User ann
Pass secret
SSLType None
AuthMechs LOGIN

MaildirStore near
Path {near}/
Inbox {near}/INBOX

Channel all
Far :far:Mail
Near :near:
Sync Pull
Create Near
Expunge Near
SyncState *
"""


class Mail(api.VirtualFolder):
    """Messages as they are."""

    poll = None

    def __init__(self, octets: list[bytes]) -> None:
        self.octets = dict(enumerate(octets))

    def list(self) -> Any:
        return [api.Item(number, date=1_000_000_000 + number) for number in self.octets]

    async def fetch(self, item: Any) -> bytes:
        return self.octets[item]


class TestFolders(TestCase):
    def serve(self, folders: Any) -> int:
        store = api.virtual_store(reactor, folders, beside=api.memory_store())
        server = api.mail_server(reactor, store=store, users={"ann": "secret"}, listen={"imap": LOOPBACK})
        server.startService()
        self.addCleanup(server.stopService)
        port: int = server.addresses["imap"].port
        return port

    async def talk(self, folders: Any, talk: Callable[[IMAPClient], Any]) -> Any:
        port = self.serve(folders)

        def work() -> Any:
            with IMAPClient("127.0.0.1", port, ssl=False, timeout=10) as client:
                client.login("ann", "secret")
                return talk(client)

        return await deferToThread(work)

    def refusal(self, what: Callable[[], Any]) -> str:
        try:
            what()
        except imaplib.IMAP4.error as error:
            return str(error)
        raise AssertionError("it was done")

    async def test_what_a_client_sees(self) -> None:
        alerts = Alerts()

        def talk(client: IMAPClient) -> None:
            assert ((b"\\HasNoChildren",), b"/", "Alerts/Now") in client.list_folders()
            assert "Alerts/Now" in [name for _, _, name in client.list_sub_folders()]
            assert client.folder_status("Alerts/Now", ["MESSAGES", "UNSEEN", "UIDNEXT"]) == {
                b"MESSAGES": 3,
                b"UNSEEN": 3,
                b"UIDNEXT": 4,
            }
            assert alerts.fetched == 0
            chosen = client.select_folder("Alerts/Now")
            assert b"\\Deleted" not in chosen[b"PERMANENTFLAGS"]
            assert b"\\Seen" in chosen[b"PERMANENTFLAGS"]
            found = client.fetch([1, 2, 3], ["ENVELOPE", "RFC822.SIZE", "INTERNALDATE", "BODY.PEEK[]", "MODSEQ"])
            assert [found[uid][b"ENVELOPE"].subject for uid in found] == [b"alert 1", b"alert 2", b"alert 3"]
            assert all(len(row[b"BODY[]"]) == row[b"RFC822.SIZE"] for row in found.values())
            assert alerts.fetched == 3
            assert client.search(["SUBJECT", "alert 2"]) == [2]
            assert client.search(["ON", "09-Sep-2001"]) == [1, 2, 3]
            client.add_flags([2], [b"\\Seen", b"$Work"])
            assert client.search(["UNSEEN"]) == [1, 3]
            assert client.folder_status("Alerts/Now", ["SIZE"])[b"SIZE"] == sum(
                row[b"RFC822.SIZE"] for row in found.values()
            )

        await self.talk({"Alerts/Now": alerts}, talk)
        assert alerts.fetched == 3

    async def test_what_is_refused(self) -> None:
        def talk(client: IMAPClient) -> None:
            client.select_folder("Alerts")
            assert "NOPERM" in self.refusal(lambda: client.append("Alerts", b"Subject: x\r\n\r\n"))
            assert "CANNOT" in self.refusal(lambda: client.add_flags([1], [b"\\Deleted"]))
            assert "NOPERM" in self.refusal(lambda: client.copy([1], "Alerts"))
            assert "CANNOT" in self.refusal(lambda: client.move([1], "INBOX"))
            assert "CANNOT" in self.refusal(lambda: client.delete_folder("Alerts"))
            client.copy([1, 3], "INBOX")
            client.expunge()
            client.close_folder()
            assert client.select_folder("INBOX")[b"EXISTS"] == 2

        await self.talk({"Alerts": Alerts()}, talk)

    async def test_a_bug_of_the_program_is_told_by_its_number_alone(self) -> None:
        alerts = Alerts()
        alerts.texts[2] = "\udcff"

        def talk(client: IMAPClient) -> None:
            client.select_folder("Alerts")
            for _ in range(2):
                text = self.refusal(lambda: client.fetch([1, 2, 3], ["BODY.PEEK[]"]))
                assert "SERVERBUG" in text
                assert "surrogate" not in text
            assert len(client.fetch([1, 3], ["BODY.PEEK[]"])) == 2

        await self.talk({"Alerts": alerts}, talk)
        assert len(self.flushLoggedErrors(UnicodeEncodeError)) == 1

    async def test_idle_hears_what_the_program_says(self) -> None:
        alerts = Alerts()

        def change(what: Callable[[], Any]) -> None:
            def work() -> None:
                what()
                alerts.changed()

            blockingCallFromThread(reactor, work)

        def talk(client: IMAPClient) -> None:
            client.select_folder("Alerts")
            client.idle()
            began = time.monotonic()
            change(lambda: alerts.texts.update({4: "alert 4"}))
            assert (4, b"EXISTS") in client.idle_check(timeout=5)
            change(lambda: alerts.texts.pop(1))
            assert (1, b"EXPUNGE") in client.idle_check(timeout=5)
            change(lambda: alerts.texts.update({2: "worse"}))
            heard = client.idle_check(timeout=5)
            assert (1, b"EXPUNGE") in heard
            assert (3, b"EXISTS") in heard
            assert time.monotonic() - began < 5
            client.idle_done()
            assert client.search(["ALL"]) == [3, 4, 5]

        await self.talk({"Alerts": alerts}, talk)

    async def test_a_message_that_takes_long_holds_up_nobody_else(self) -> None:
        slow = Alerts()
        waiting: Deferred[bytes] = Deferred()
        slow.fetch = lambda item: waiting  # type: ignore[method-assign]
        port = self.serve({"Slow": slow, "Quick": Alerts()})

        def work() -> float:
            with (
                IMAPClient("127.0.0.1", port, ssl=False, timeout=10) as one,
                IMAPClient("127.0.0.1", port, ssl=False, timeout=10) as other,
            ):
                for client in (one, other):
                    client.login("ann", "secret")
                one.select_folder("Slow")
                tag = one._imap._command("FETCH", "1", "(BODY.PEEK[])")
                began = time.monotonic()
                other.select_folder("Slow")
                other.add_flags([2], [b"\\Flagged"])
                other.select_folder("Quick")
                assert len(other.fetch([1, 2, 3], ["BODY.PEEK[]"])) == 3
                took = time.monotonic() - began
                reactor.callFromThread(waiting.callback, b"Subject: at last\r\n\r\n")  # type: ignore[attr-defined]
                assert one._imap._command_complete("FETCH", tag)[0] == "OK"
                return took

        assert await deferToThread(work) < 2

    async def test_real_mail_is_shown_as_a_store_in_memory_shows_it(self) -> None:
        octets = messages()
        stores = api.memory_store(), api.virtual_store(reactor, {"INBOX": Mail(octets)}, cache_octets=1 << 20)
        new = [api.NewMessage(each, internaldate=1_000_000_000 + at) for at, each in enumerate(octets)]
        stores[0].account("ann").append("INBOX", new)  # type: ignore[attr-defined]
        wanted = (
            *(each for each in Attribute if each not in (Attribute.SAVEDATE, Attribute.PREVIEW_AT_HAND)),
            api.HeaderFields((b"received", b"subject")),
            api.HeaderFields((b"from", b"subject")),
        )
        shown = []
        for store in stores:
            account = await settled(store.account("ann"))
            mailbox = await settled(account.open("INBOX"))
            rows = [row async for batch in mailbox.fetch(list(mailbox.live.uids), wanted) for row in batch]
            keys = (searchkeys.Text("the"), searchkeys.Header("subject", "re:"), searchkeys.Larger(5000))
            found = [await settled(mailbox.search(key)) for key in keys]
            status = await settled(account.status("INBOX"))
            shown.append((rows, found, status.size))
            mailbox.release()
            account.release()
        assert len(shown[0][0]) == len(octets)
        assert shown[0] == shown[1]
        await settled(stores[1].close())

    async def test_mbsync_follows_what_a_program_does(self) -> None:
        if shutil.which("mbsync") is None:
            raise SkipTest("mbsync (package isync) is not installed")
        mail = Mail([each for each in a_round() if b"\r" not in each.replace(b"\r\n", b"")])  # mbsync drops a lone CR
        port, near = self.serve({"Mail": mail}), Path(self.mktemp())

        def pull() -> list[bytes]:
            near.mkdir(parents=True, exist_ok=True)
            (near / "mbsyncrc").write_text(MBSYNC.format(port=port, near=near))
            command = ["mbsync", "-c", str(near / "mbsyncrc"), "-a"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, done.stderr
            files = [path for each in ("new", "cur") for path in (near / "INBOX" / each).iterdir()]
            return sorted(TUID.sub(b"", path.read_bytes().replace(b"\r\n", b"\n"), count=1) for path in files)

        for _ in range(2):
            got = await deferToThread(pull)
            assert got == sorted(each.replace(b"\r\n", b"\n") for each in mail.octets.values())
            for number in list(mail.octets)[:20]:
                del mail.octets[number]
            mail.octets[1_000_000] = b"Subject: another\r\n\r\nAnother.\r\n"
            mail.changed()
