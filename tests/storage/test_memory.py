"""The memory store keeps every promise of a store, and answers at once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.memory import MemoryStore
from mailpost.storage.records import DEFAULT_FOLDERS, NewMessage, SpecialUse
from mailpost.testing.storesuite import MaildropContract, StoreContract
from mailpost.wire.imap.structures import summarise


class MemoryStoreTests(StoreContract, MaildropContract, TestCase):
    def make_store(self) -> MemoryStore:
        return MemoryStore(summarise)


class NewAccountTests(SynchronousTestCase):
    def test_default_folders_are_made_and_subscribed(self) -> None:
        account = MemoryStore(summarise).account("ann")
        self.assertEqual([folder.name for folder in account.folders()], ["INBOX", *sorted(DEFAULT_FOLDERS)])
        self.assertEqual(account.subscriptions(), frozenset(["INBOX", *DEFAULT_FOLDERS]))
        self.assertIs(account.folders()[-1].special_use, SpecialUse.TRASH)

    def test_settings(self) -> None:
        store = MemoryStore(summarise, default_folders={}, clock=lambda: 77.5, separator=".")
        account = store.account("ann")
        account.create("a.b")
        self.assertEqual([folder.name for folder in account.folders()], ["INBOX", "a", "a.b"])
        appended = account.append("INBOX", [NewMessage(b"x")])
        self.assertEqual((appended.uidvalidity, list(appended.uids)), (77, [1]))

    def test_a_closed_store_has_forgotten_everything(self) -> None:
        store = MemoryStore(summarise)
        store.account("ann").append("INBOX", [NewMessage(b"x")])
        store.close()
        self.assertEqual(store.account("ann").status("INBOX").messages, 0)

    def test_folders_that_do_not_exist_are_not_subscribed_to(self) -> None:
        with self.assertRaises(MailError) as caught:
            MemoryStore(summarise).account("ann").subscribe("None", True)
        self.assertIs(caught.exception.kind, ErrorKind.NO_SUCH_FOLDER)

    def test_the_spool_of_another_store_is_refused(self) -> None:
        class Other:
            size = 3

        with self.assertRaises(TypeError):
            MemoryStore(summarise).account("ann").append("INBOX", [NewMessage(Other())])
