"""Folders: making, naming, deleting, renaming, subscribing, counting."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.mail.searchkeys import Body
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox, IMailStore, ISpool
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import Attribute, SpecialUse
from mailpost.testing.contract.base import NOON, PLAIN, REPLY, Contract, Watching

BAD_NAMES = ["", "/", "/a", "a//b", "..", "a/../b", "./a", "a\0b", "a\nb", "a\x7f", "a*b", "100%", "x" * 1000]
HARD_NAMES = [
    "a.b",
    "a&b",
    "Entwürfe",
    "日本語",
    "with space",
    'quo"te',
    "back\\slash",
    "~tilde",
    "new",
    "cur",
    ".hidden",
]


class InterfacesContract(Contract):
    """Everything offers what its interface says."""

    async def test_interfaces(self) -> None:
        """The four objects provide their interfaces in full."""
        self.assertTrue(verifyObject(IMailStore, self.store))
        self.assertTrue(verifyObject(IMailAccount, self.account))
        self.assertTrue(verifyObject(IMailpostMailbox, await self.opened()))
        spool = self.account.spool(10)
        self.assertTrue(verifyObject(ISpool, spool))
        spool.abort()

    async def test_an_account_is_shared_and_apart_from_others(self) -> None:
        """One user has one account, another another."""
        same, other = await ask(self.store.account("ann")), await ask(self.store.account("bob"))
        self.assertIs(same, self.account)
        self.assertEqual((same.user, other.user), ("ann", "bob"))
        await ask(self.account.create("only ann"))
        await self.add(PLAIN)
        self.assertNotIn("only ann", [folder.name for folder in other.folders()])
        self.assertEqual((await ask(other.status("INBOX"))).messages, 0)
        same.release()
        other.release()


class FoldersContract(Contract):
    """CREATE, DELETE and what LIST shows. RFC: 3501 §6.3.3, §6.3.4, §6.3.8"""

    async def test_a_new_account_has_inbox_first(self) -> None:
        """INBOX is there, selectable and on top."""
        first = self.account.folders()[0]
        self.assertEqual((first.name, first.selectable), ("INBOX", True))
        self.assertTrue(first.mailbox_id)

    async def test_create(self) -> None:
        """A new folder is listed in its place, with an id of its own."""
        folder = await ask(self.account.create("Work"))
        self.assertEqual((folder.name, folder.selectable, folder.special_use), ("Work", True, None))
        self.assertIn(folder, self.account.folders())
        listed = [each.name for each in self.account.folders()]
        self.assertEqual(listed, ["INBOX", *sorted(listed[1:])])
        self.assertEqual(len({each.mailbox_id for each in self.account.folders()}), len(listed))
        self.assertEqual((await ask(self.account.status("Work"))).mailbox_id, folder.mailbox_id)

    async def test_create_makes_those_above(self) -> None:
        """A deep folder comes with all levels above it."""
        await ask(self.account.create("a/b/c"))
        self.assertLessEqual({"a", "a/b", "a/b/c"}, set(self.names()))

    async def test_create_what_exists(self) -> None:
        """No folder is made twice; INBOX exists in any case."""
        await ask(self.account.create("Work"))
        for name in ("Work", "INBOX", "inbox"):
            with self.refused(ErrorKind.FOLDER_EXISTS):
                await ask(self.account.create(name))

    async def test_bad_names(self) -> None:
        """What cannot be a name is refused, and nothing is made of it."""
        before = self.account.folders()
        for name in BAD_NAMES:
            with self.refused(ErrorKind.BAD_FOLDER_NAME):
                await ask(self.account.create(name))
        self.assertEqual(self.account.folders(), before)

    async def test_hard_names(self) -> None:
        """Any other name is kept exactly, as a level too, and its folder holds mail."""
        for name in HARD_NAMES:
            for full in (name, f"below/{name}"):
                if full in self.names_refused:
                    with self.refused(ErrorKind.BAD_FOLDER_NAME):
                        await ask(self.account.create(full))
                    self.assertNotIn(full, self.names())
                    continue
                await ask(self.account.create(full))
                await self.add(PLAIN, name=full)
                self.assertIn(full, self.names())
                self.assertEqual((await ask(self.account.status(full))).messages, 1)

    async def test_names_that_differ_only_in_case(self) -> None:
        """Only INBOX disregards case."""
        await ask(self.account.create("work"))
        await ask(self.account.create("WORK"))
        await ask(self.account.create("inbox/deep"))
        self.assertLessEqual({"work", "WORK", "INBOX/deep"}, set(self.names()))

    async def test_special_use(self) -> None:
        """What a folder is for is remembered. RFC: 6154 §3"""
        folder = await ask(self.account.create("Old mail", SpecialUse.ARCHIVE))
        self.assertIs(folder.special_use, SpecialUse.ARCHIVE)
        self.assertIn(folder, self.account.folders())

    async def test_missing_folders(self) -> None:
        """Whatever is asked of a folder that is not there is refused alike."""
        for name in ("None", "a/b", "../x", "a\0b"):
            with self.refused(ErrorKind.NO_SUCH_FOLDER):
                await ask(self.account.open(name))
            with self.refused(ErrorKind.NO_SUCH_FOLDER):
                await ask(self.account.status(name))
            with self.refused(ErrorKind.NO_SUCH_FOLDER):
                await ask(self.account.delete(name))
            with self.refused(ErrorKind.NO_SUCH_FOLDER):
                await ask(self.account.rename(name, "New"))
            with self.refused(ErrorKind.NO_SUCH_FOLDER, ErrorKind.NO_TARGET):
                await self.add(PLAIN, name=name)

    async def test_delete(self) -> None:
        """The folder goes with its messages; INBOX cannot."""
        await ask(self.account.create("Work"))
        await self.add(PLAIN, name="Work")
        await ask(self.account.delete("Work"))
        self.assertNotIn("Work", [folder.name for folder in self.account.folders()])
        with self.refused(ErrorKind.CANNOT):
            await ask(self.account.delete("inbox"))

    async def test_delete_with_folders_below(self) -> None:
        """The name stays while folders lie below it, but cannot be opened, nor deleted again. RFC: 3501 §6.3.4"""
        await ask(self.account.create("a/b"))
        await self.add(PLAIN, name="a")
        await ask(self.account.delete("a"))
        self.assertIn(
            ("a", False, ""), [(each.name, each.selectable, each.mailbox_id) for each in self.account.folders()]
        )
        with self.refused(ErrorKind.NOT_SELECTABLE):
            await ask(self.account.open("a"))
        with self.refused(ErrorKind.NOT_SELECTABLE):
            await ask(self.account.status("a"))
        with self.refused(ErrorKind.HAS_CHILDREN):
            await ask(self.account.delete("a"))
        with self.refused(ErrorKind.NO_SUCH_FOLDER, ErrorKind.NO_TARGET, ErrorKind.NOT_SELECTABLE):
            await self.add(PLAIN, name="a")
        await ask(self.account.create("a"))
        self.assertEqual((await ask(self.account.status("a"))).messages, 0)
        await ask(self.account.delete("a"))
        await ask(self.account.delete("a/b"))
        self.assertNotIn("a", [folder.name for folder in self.account.folders()])

    async def test_uidvalidity_grows_when_a_folder_is_made_again(self) -> None:
        """No UID under this name is ever mistaken for one of old. RFC: 3501 §2.3.1.1"""
        await ask(self.account.create("Work"))
        seen = [(await ask(self.account.status("Work"))).uidvalidity]
        for _ in range(2):
            await ask(self.account.delete("Work"))
            await ask(self.account.create("Work"))
            seen.append((await ask(self.account.status("Work"))).uidvalidity)
        self.assertEqual(seen, sorted(set(seen)))

    async def test_delete_while_open(self) -> None:
        """Sessions are told, and whatever they still try does no harm."""
        await ask(self.account.create("Work"))
        uids = await self.add(PLAIN, name="Work", flags=[DELETED])
        mailbox = await self.opened("Work")
        watching = Watching(mailbox.live)
        await ask(self.account.delete("Work"))
        self.assertTrue(mailbox.live.gone)
        self.assertGreaterEqual(watching.woken, 1)
        await ask(self.account.create("Work"))
        for attempt in (
            lambda: self.rows(mailbox, uids, Attribute.OCTETS),
            lambda: ask(mailbox.search(Body("x"))),
            lambda: ask(mailbox.store(uids, FlagChange.ADD, intern_flags([SEEN]))),
            lambda: ask(mailbox.expunge()),
            lambda: ask(mailbox.copy(uids, "Work")),
            lambda: ask(mailbox.refresh()),
        ):
            try:
                await attempt()
            except MailError as error:
                self.assertTrue(error.text)
        self.assertEqual((await ask(self.account.status("Work"))).messages, 0)
        watching.cursor.close()


class RenamesContract(Contract):
    """RENAME. RFC: 3501 §6.3.5, 9051 §6.3.6"""

    async def test_a_tree_moves_with_its_mail(self) -> None:
        """The folder and all below it have new names, and are the same otherwise."""
        await ask(self.account.create("old/deep/er", SpecialUse.ARCHIVE))
        await self.add(PLAIN, REPLY, name="old/deep")
        before = {name: await ask(self.account.status(name)) for name in ("old", "old/deep", "old/deep/er")}
        await ask(self.account.rename("old", "other/place"))
        after = {name: await ask(self.account.status("other/place" + name[3:])) for name in before}
        self.assertEqual(after, before)
        self.assertNotIn("old", {folder.name.split("/")[0] for folder in self.account.folders()})
        uses = {folder.name: folder.special_use for folder in self.account.folders() if folder.special_use}
        self.assertIs(uses.get("other/place/deep/er"), SpecialUse.ARCHIVE)
        self.assertIn("other", self.names())

    async def test_similar_names_stay(self) -> None:
        """Only what lies below moves along."""
        for name in ("a", "ab", "a.b", "a/x"):
            await ask(self.account.create(name))
        await ask(self.account.rename("a", "z"))
        self.assertLessEqual({"ab", "a.b", "z", "z/x"}, set(self.names()))
        self.assertNotIn("a", self.names())

    async def test_a_name_that_is_taken(self) -> None:
        """Nothing is renamed onto something else, nor onto itself."""
        await ask(self.account.create("a/b"))
        await ask(self.account.create("none/x"))
        await ask(self.account.delete("none"))
        for new in ("a", "a/b", "inbox", "none"):
            with self.refused(ErrorKind.FOLDER_EXISTS):
                await ask(self.account.rename("a", new))
        await ask(self.account.create("a/gone/x"))
        await ask(self.account.delete("a/gone"))
        for new in ("a/c/d", "a/gone"):
            with self.refused(ErrorKind.CANNOT):
                await ask(self.account.rename("a", new))
        with self.refused(ErrorKind.BAD_FOLDER_NAME):
            await ask(self.account.rename("a", "b//c"))
        self.assertLessEqual({"a", "a/b", "none/x"}, set(self.names()))

    async def test_a_name_that_is_not_selectable(self) -> None:
        """What lies below it moves."""
        await ask(self.account.create("a/b"))
        await ask(self.account.delete("a"))
        await ask(self.account.rename("a", "z"))
        self.assertEqual([name for name in self.names() if name[0] in "az"], ["z/b"])

    async def test_a_name_that_was_used_before(self) -> None:
        """The pair of name and UIDVALIDITY never means another folder."""
        await ask(self.account.create("x"))
        await ask(self.account.create("y"))
        old = (await ask(self.account.status("x"))).uidvalidity
        await ask(self.account.delete("x"))
        await ask(self.account.rename("y", "x"))
        self.assertNotEqual((await ask(self.account.status("x"))).uidvalidity, old)

    async def test_inbox_gives_its_messages_to_a_name_that_only_folders_below_keep(self) -> None:
        """As CREATE makes such a name a folder."""
        await ask(self.account.create("none/x"))
        await ask(self.account.delete("none"))
        await self.add(PLAIN)
        await ask(self.account.rename("INBOX", "none"))
        self.assertEqual((await ask(self.account.status("none"))).messages, 1)

    async def test_inbox_gives_its_messages_and_stays(self) -> None:
        """RENAME INBOX moves the messages; folders below it stay."""
        await ask(self.account.create("INBOX/below"))
        await self.add(PLAIN, REPLY, flags=[SEEN, "$Work"])
        mailbox = await self.opened()
        watching = Watching(mailbox.live)
        before = await ask(self.account.status("INBOX"))
        await ask(self.account.rename("inbox", "Old mail"))
        after = await ask(self.account.status("INBOX"))
        self.assertEqual((after.messages, after.uidvalidity), (0, before.uidvalidity))
        self.assertGreaterEqual(after.uidnext, before.uidnext)
        self.assertEqual([uid for change in watching.read() for uid in change.uids], [1, 2])
        self.assertFalse(mailbox.live.gone)
        self.assertIn("INBOX/below", self.names())
        moved = await self.opened("Old mail")
        rows = await self.rows(moved, moved.live.uids, Attribute.OCTETS, Attribute.INTERNALDATE)
        self.assertEqual([row[1:] for row in rows], [(PLAIN, NOON), (REPLY, NOON)])
        self.assertEqual(set(moved.live.flags), {frozenset([SEEN, "$Work"])})
        watching.cursor.close()

    async def test_while_open(self) -> None:
        """Sessions go on under the new name, those in folders below too."""
        await ask(self.account.create("a/b"))
        uids = await self.numbered(3, "a/b")
        upper, lower = await self.opened("a"), await self.opened("a/b")
        await ask(self.account.rename("a", "z"))
        self.assertEqual((upper.name, lower.name), ("z", "z/b"))
        self.assertEqual((upper.live.gone, lower.live.gone), (False, False))
        await ask(lower.store(uids, FlagChange.ADD, intern_flags([FLAGGED])))
        self.assertEqual(await self.rows(lower, uids[:1], Attribute.OCTETS), [(1, b"Subject: 1\r\n\r\nnumber 1\r\n")])
        self.assertEqual((await ask(lower.copy(uids, "z"))).source_uids, uids)
        self.assertEqual(len(upper.live.uids), 3)
        await self.numbered(1, "z/b")
        self.assertEqual(len(lower.live.uids), 4)
        self.assertIs(await self.opened("z/b"), lower)


class SubscriptionsContract(Contract):
    """SUBSCRIBE, UNSUBSCRIBE. RFC: 3501 §6.3.6, §6.3.7"""

    async def test_on_and_off(self) -> None:
        """Names go on the list and off it, twice without harm, INBOX in any case."""
        await ask(self.account.create("Work"))
        for _ in range(2):
            await ask(self.account.subscribe("Work", True))
            self.assertIn("Work", self.account.subscriptions())
        for _ in range(2):
            await ask(self.account.subscribe("Work", False))
            self.assertNotIn("Work", self.account.subscriptions())
        await ask(self.account.subscribe("INBOX", False))
        await ask(self.account.subscribe("inbox", True))
        self.assertIn("INBOX", self.account.subscriptions())

    async def test_they_outlive_the_folder(self) -> None:
        """A deleted folder stays subscribed, and can be unsubscribed."""
        await ask(self.account.create("Work"))
        await ask(self.account.subscribe("Work", True))
        await ask(self.account.delete("Work"))
        self.assertIn("Work", self.account.subscriptions())
        await ask(self.account.subscribe("Work", False))
        self.assertNotIn("Work", self.account.subscriptions())

    async def test_what_is_not_there(self) -> None:
        """A name that no folder can have is not subscribed to."""
        before = self.account.subscriptions()
        with self.refused(ErrorKind.NO_SUCH_FOLDER, ErrorKind.BAD_FOLDER_NAME):
            await ask(self.account.subscribe("a\n/b", True))
        self.assertEqual(self.account.subscriptions(), before)


class StatusContract(Contract):
    """STATUS. RFC: 3501 §6.3.10, 8438"""

    async def test_counts(self) -> None:
        """Every count is right, opened or not, before and after changes."""
        await self.add(PLAIN)
        await self.add(REPLY, flags=[SEEN])
        await self.add(REPLY, flags=[SEEN, DELETED])
        status = await ask(self.account.status("inbox"))
        self.assertEqual((status.messages, status.unseen, status.deleted, status.recent), (3, 1, 1, 3))
        self.assertEqual((status.size, status.uidnext), (len(PLAIN) + 2 * len(REPLY), 4))
        mailbox = await self.opened()
        self.assertEqual(status.highest_modseq, mailbox.live.highest_modseq)
        self.assertEqual(status.uidvalidity, mailbox.live.uidvalidity)
        self.assertEqual(status.mailbox_id, mailbox.live.mailbox_id)
        await ask(mailbox.expunge())
        await ask(mailbox.store([1], FlagChange.ADD, intern_flags([SEEN])))
        status = await ask(self.account.status("INBOX"))
        self.assertEqual((status.messages, status.unseen, status.deleted), (2, 0, 0))
        self.assertEqual((status.size, status.uidnext), (len(PLAIN) + len(REPLY), 4))

    async def test_recent_is_claimed_once(self) -> None:
        """What one read-write session has seen is recent to no other."""
        await self.numbered(2)
        mailbox = await self.opened()
        self.assertEqual(mailbox.live.claim_recent(), 1)
        self.assertEqual((await ask(self.account.status("INBOX"))).recent, 0)
        await self.numbered(1)
        self.assertEqual((await ask(self.account.status("INBOX"))).recent, 1)
        self.assertEqual(mailbox.live.claim_recent(), 3)
