"""Delivery into local mail, on a store in memory and on Maildirs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailpost.delivery import filing
from mailpost.delivery.body import LARGEST_IN_MEMORY
from mailpost.delivery.filing import LocalReceiver
from mailpost.delivery.interfaces import IDeliveryFilter, IReceiver, IRecipients, ITransaction
from mailpost.delivery.records import Arrival, FileInto, LocalUser, Redirect, Target, Verdict
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import FLAGGED, SEEN
from mailpost.mail.transport import Client, ForwardPath, Notify, ReversePath
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.offload import Offload, settled
from mailpost.storage.records import QuotaLimit
from mailpost.wire.imap.structures import summarise
from tests.corpus import messages
from tests.delivery.post import MESSAGE, NOW, RELAY, SENDER, added_to, mail_of, receiver, recipients, send

SUBJECT = b"Subject: Lunch"


@implementer(IDeliveryFilter)
class Sorter:
    """Decides as the test says, and remembers what it was asked."""

    def __init__(self, decide: Callable[[Arrival], Any]) -> None:
        self.asked: list[Arrival] = []
        self._decide = decide

    def decide(self, arrival: Arrival) -> Any:
        self.asked.append(arrival)
        return self._decide(arrival)


@implementer(ITransaction)
class Sending:
    """A message that goes elsewhere."""

    def __init__(self, outside: Outside, client: Client, sender: ReversePath) -> None:
        self.recipients: list[ForwardPath] = []
        self.client, self.sender = client, sender
        self.octets = b""
        self.ended = ""
        self._outside = outside

    def add_recipient(self, recipient: ForwardPath) -> None:
        self.recipients.append(recipient)

    def write(self, data: bytes) -> None:
        self.octets += data

    def commit(self) -> list[MailError | None]:
        self.ended = "sent"
        return [self._outside.problem] * len(self.recipients)

    def abort(self) -> None:
        self.ended = self.ended or "given up"


@implementer(IReceiver)
class Outside:
    """Takes what is sent on."""

    def __init__(self, problem: MailError | None = None) -> None:
        self.sent: list[Sending] = []
        self.problem = problem

    def begin(self, client: Client, sender: ReversePath) -> Sending:
        self.sent.append(Sending(self, client, sender))
        return self.sent[-1]


class Deliveries:
    """The tests; to be mixed into a test case with `open_store`."""

    store: Any
    limits: dict[str, QuotaLimit]
    users: Sequence[str] = ("ann", "bob", "Cleo")

    def setUp(self: Any) -> None:
        self.limits = {}
        self.receivers: list[LocalReceiver] = []
        self.store = self.open_store()
        self.work = Offload(reactor, 2)
        self.addCleanup(self.close)

    async def close(self) -> None:
        await settled(self.store.close())
        await self.work.close()

    def quota(self, user: str) -> QuotaLimit:
        return self.limits.get(user, QuotaLimit())

    def receiver(self, **more: Any) -> LocalReceiver:
        made = receiver(self.store, *self.users, run=lambda function: self.work.read("delivery", function), **more)
        self.receivers.append(made)
        return made

    async def texts(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """The messages without what delivery put before them."""
        return [octets[len(added_to(octets)) :] for octets, _ in await mail_of(self.store, user, folder)]

    async def folders(self, user: str) -> dict[str, tuple[int, list[str]]]:
        """What is in the folders that are not empty: how many messages, their flags together."""
        account = await settled(self.store.account(user))
        names = [each.name for each in account.folders()]
        account.release()
        found = {}
        for name in names:
            mail = await mail_of(self.store, user, name)
            if mail:
                found[name] = len(mail), sorted(set().union(*(flags for _, flags in mail)))
        return found

    # -- recipients

    async def test_the_fields_at_the_top(self: Any) -> None:
        to = self.receiver()
        verifyObject(IReceiver, to)
        verifyObject(ITransaction, to.begin(RELAY, SENDER))
        self.assertEqual(await send(to, ["Ann@Example.org"], b"Return-Path: <old@x>\r\n" + MESSAGE), [None])
        ((octets, flags),) = await mail_of(self.store, "ann")
        first, second, third, fourth, fifth = added_to(octets).decode().split("\r\n")[:-1]
        self.assertEqual(first, "Return-Path: <eve@example.net>")
        self.assertEqual(second, "Delivered-To: Ann@Example.org")
        self.assertEqual(third, "Received: from relay.example.net ([192.0.2.1])")
        self.assertRegex(fourth, r"^\tby mx\.example\.org with LMTP id [0-9a-f]{12}$")
        self.assertRegex(fifth, r"^\tfor <Ann@Example\.org>; (Sat|Sun), [89] Sep 2001 \d\d:\d\d:40 [+-]\d{4}$")
        self.assertEqual(octets[len(added_to(octets)) :], MESSAGE)
        self.assertEqual(flags, set())

    async def test_one_answer_for_each(self: Any) -> None:
        addresses = ["ann@example.org", "nobody@example.org", "bob", "ann@elsewhere.example", "cleo@EXAMPLE.org", "bob"]
        told = await send(self.receiver(), addresses)
        none, denied = ErrorKind.NO_SUCH_USER, ErrorKind.RELAY_DENIED
        self.assertEqual(told, [None, none, None, denied, None, None])
        for user in ("ann", "bob", "Cleo"):
            ((octets, _),) = await mail_of(self.store, user)
            self.assertNotIn(b"\tfor <", octets, "nobody learns of the others")
            self.assertEqual(await self.texts(user), [MESSAGE])

    async def test_details_name_folders_that_exist(self: Any) -> None:
        account = await settled(self.store.account("ann"))
        await settled(account.create("Work/Reports"))
        account.release()
        for detail in ("sent", "Work/Reports", "work.reports", "WORK/REPORTS", "none", "", "inbox", "Work*"):
            self.assertEqual(await send(self.receiver(), [f"ann+{detail}@example.org"]), [None])
        self.assertEqual(
            {name: count for name, (count, _) in (await self.folders("ann")).items()},
            {"INBOX": 4, "Sent": 1, "Work/Reports": 3},
        )

    async def test_an_alias_of_several(self: Any) -> None:
        to = self.receiver(aliases="sales: ann, bob+Sent\npostmaster: sales, ann")
        self.assertEqual(await send(to, ["sales@example.org", "Postmaster", "ann"]), [None, None, None])
        self.assertEqual(await self.texts("ann"), [MESSAGE], "the same one gets one copy")
        self.assertEqual(await self.texts("bob", "Sent"), [MESSAGE])
        ((octets, _),) = await mail_of(self.store, "ann")
        self.assertIn(b"\r\nDelivered-To: sales@example.org\r\n", octets)

    async def test_an_alias_to_elsewhere(self: Any) -> None:
        outside = Outside()
        to = self.receiver(aliases="sales: ann, dora@elsewhere.example", elsewhere=outside)
        transaction = to.begin(RELAY, SENDER)
        await transaction.add_recipient(ForwardPath("sales@example.org", frozenset({Notify.FAILURE})))
        transaction.write(MESSAGE)
        self.assertEqual(await transaction.commit(), [None])
        self.assertEqual(await self.texts("ann"), [MESSAGE])
        (sent,) = outside.sent
        self.assertEqual(
            sent.recipients,
            [ForwardPath("dora@elsewhere.example", frozenset({Notify.FAILURE}), "rfc822;sales@example.org")],
        )
        self.assertEqual(sent.sender, ReversePath(SENDER.address, size=len(sent.octets)))
        self.assertEqual(sent.ended, "sent")
        self.assertTrue(sent.octets.startswith(b"Delivered-To: sales@example.org\r\nReceived: from relay"))
        self.assertTrue(sent.octets.endswith(b"\r\n" + MESSAGE))
        self.assertNotIn(b"Return-Path", sent.octets)

    async def test_nothing_is_sent_on_without_somebody_who_does(self: Any) -> None:
        to = self.receiver(aliases="sales: ann, dora@elsewhere.example")
        self.assertEqual(await send(to, ["sales", "ann"]), [ErrorKind.RELAY_DENIED, None])

    async def test_an_alias_with_a_failure_fails(self: Any) -> None:
        outside = Outside(MailError(ErrorKind.DISK_FULL, "full"))
        to = self.receiver(aliases="sales: ann, dora@elsewhere.example", elsewhere=outside)
        self.assertEqual(await send(to, ["sales", "ann"]), [ErrorKind.DISK_FULL, None])
        self.assertEqual(await self.texts("ann"), [MESSAGE])

    async def test_too_many_recipients(self: Any) -> None:
        to = self.receiver(most_recipients=2)
        told = await send(to, ["ann", "bob", "Cleo", "nobody"])
        self.assertEqual(told, [None, None, ErrorKind.TOO_MANY_RECIPIENTS, ErrorKind.TOO_MANY_RECIPIENTS])

    async def test_a_lookup_of_somebody_elses(self: Any) -> None:
        @implementer(IRecipients)
        class Everybody:
            def resolve(self, address: str) -> Sequence[Target]:
                return [LocalUser(address.partition("@")[0], "Sent")]

        to = LocalReceiver(self.store, Everybody(), hostname="mx", run=lambda work: self.work.read("x", work))
        self.receivers.append(to)
        verifyObject(IRecipients, recipients("ann"))
        self.assertEqual(await send(to, ["dora@anywhere.example"]), [None])
        self.assertEqual(await self.texts("dora", "Sent"), [MESSAGE])

    # -- octets

    async def test_every_octet_of_odd_and_large_messages(self: Any) -> None:
        odd = [each for each in messages()[:60] if b"Return-Path" not in each]
        large = MESSAGE + random.Random(4).randbytes(3 * LARGEST_IN_MEMORY)
        lines = MESSAGE + b"0123456789\r\n" * 200_000
        for octets in (*odd, large, lines, MESSAGE + b"bare\nlf and bare\rcr"):
            self.assertEqual(await send(self.receiver(), ["ann", "bob+Sent"], octets, piece=100_000), [None, None])
            for user, folder in (("ann", "INBOX"), ("bob", "Sent")):
                filed, _ = (await mail_of(self.store, user, folder))[-1]
                self.assertEqual(filed[-len(octets) :] if octets else b"", octets)
                self.assertRegex(filed[: len(filed) - len(octets)], rb"(?s)^Return-Path: .*\d{4}\r\n$")

    async def test_a_message_that_is_too_large(self: Any) -> None:
        to = self.receiver(message_size=1000)
        with self.assertRaises(MailError) as caught:
            to.begin(RELAY, ReversePath("eve@example.net", size=1001))
        self.assertIs(caught.exception.kind, ErrorKind.MESSAGE_TOO_BIG)
        transaction = to.begin(RELAY, ReversePath("eve@example.net", size=1000))
        await transaction.add_recipient(ForwardPath("ann"))
        self.assertIsNone(transaction.write(b"x" * 1000))
        with self.assertRaises(MailError) as caught:
            transaction.write(b"x")
        self.assertIs(caught.exception.kind, ErrorKind.MESSAGE_TOO_BIG)
        self.assertIsNone(transaction.write(b"x" * 5000), "what follows is dropped")
        with self.assertRaises(MailError) as caught:
            await transaction.commit()
        self.assertIs(caught.exception.kind, ErrorKind.MESSAGE_TOO_BIG)
        self.assertEqual(await self.folders("ann"), {})

    async def test_a_message_of_exactly_as_much_as_may_be(self: Any) -> None:
        self.assertEqual(await send(self.receiver(message_size=len(MESSAGE)), ["ann"]), [None])

    # -- filters

    async def sorted_by(self: Any, *filters: Sorter, to: str = "ann") -> list[Any]:
        return await send(self.receiver(filters=filters), [to])

    async def test_what_a_filter_sees(self: Any) -> None:
        seen: list[bytes] = []

        async def decide(arrival: Arrival) -> Verdict:
            seen.append(await arrival.octets())
            return Verdict()

        large = MESSAGE + b"0123456789\r\n" * 200_000
        for octets in (MESSAGE, large):
            sorter = Sorter(decide)
            verifyObject(IDeliveryFilter, sorter)
            told = await send(self.receiver(filters=[sorter], aliases="sales: bob"), ["ann+x", "sales"], octets)
            self.assertEqual(told, [None, None])
            for arrival in sorter.asked:
                self.assertEqual((arrival.sender, arrival.client), (SENDER, RELAY))
                self.assertTrue(arrival.header.endswith(SUBJECT + b"\r\n\r\n"))
            self.assertEqual(
                {(each.user, each.recipient.address) for each in sorter.asked}, {("ann", "ann+x"), ("bob", "sales")}
            )
            self.assertEqual({each.size for each in sorter.asked[:1]}, {len(seen[-2])})
            ((filed, _),) = (await mail_of(self.store, "ann"))[-1:]
            self.assertIn(filed, seen[-2:])

    async def test_no_wish(self: Any) -> None:
        self.assertEqual(await self.sorted_by(Sorter(lambda _: Verdict())), [None])
        self.assertEqual(await self.folders("ann"), {"INBOX": (1, [])})

    async def test_discarded(self: Any) -> None:
        after = Sorter(lambda _: Verdict())
        self.assertEqual(await self.sorted_by(Sorter(lambda _: Verdict(keep=False)), after), [None])
        self.assertEqual(await self.folders("ann"), {})
        self.assertEqual(after.asked, [], "who does not keep it ends the chain")

    async def test_folders_and_flags(self: Any) -> None:
        first = Verdict(copies=(FileInto("sent", frozenset({SEEN})), FileInto("Sent", frozenset({"$Work"}))))
        second = Verdict(flags=frozenset({FLAGGED}), keep=False, copies=(FileInto("New/Deep", create=True),))
        self.assertEqual(await self.sorted_by(Sorter(lambda _: first), Sorter(lambda _: second)), [None])
        self.assertEqual(await self.folders("ann"), {"INBOX": (1, [SEEN]), "New/Deep": (1, []), "Sent": (1, ["$Work"])})
        account = await settled(self.store.account("ann"))
        self.assertIn("New/Deep", account.subscriptions())
        account.release()

    async def test_flags_of_the_copy_that_is_kept(self: Any) -> None:
        verdicts = [Verdict(flags=frozenset({flag})) for flag in (FLAGGED, "$Junk")]
        verdicts.append(Verdict(copies=(FileInto("Archive"),)))
        filters = [Sorter(lambda _, verdict=verdict: verdict) for verdict in verdicts]
        self.assertEqual(await self.sorted_by(*filters, to="ann+Junk"), [None])
        self.assertEqual(await self.folders("ann"), {"Archive": (1, []), "Junk": (1, ["$Junk", FLAGGED])})

    async def test_copies_into_the_same_folder_are_one(self: Any) -> None:
        verdict = Verdict(copies=(FileInto("Sent", frozenset({SEEN})), FileInto("Sent"), FileInto("inbox")))
        self.assertEqual(await self.sorted_by(Sorter(lambda _: verdict)), [None])
        self.assertEqual(await self.folders("ann"), {"INBOX": (1, []), "Sent": (1, [SEEN])})

    async def test_names_that_no_folder_can_have(self: Any) -> None:
        verdict = Verdict(copies=(FileInto("a//b", create=True), FileInto("x" * 999, create=True)), keep=False)
        self.assertEqual(await self.sorted_by(Sorter(lambda _: verdict)), [None])
        self.assertEqual(await self.folders("ann"), {"INBOX": (1, [])})

    async def test_refused(self: Any) -> None:
        refusing = Sorter(lambda arrival: Verdict(refusal="No." if arrival.user == "ann" else None))
        before = Sorter(lambda _: Verdict(copies=(FileInto("Sent"),)))
        to = self.receiver(filters=[before, refusing])
        transaction = to.begin(RELAY, SENDER)
        for user in ("ann", "bob"):
            await transaction.add_recipient(ForwardPath(user))
        transaction.write(MESSAGE)
        refused, filed = await transaction.commit()
        self.assertEqual((refused.kind, refused.text), (ErrorKind.MESSAGE_REFUSED, "No."))
        self.assertIsNone(filed)
        self.assertEqual(await self.folders("ann"), {})

    async def test_a_filter_with_a_bug_loses_nothing(self: Any) -> None:
        def fail(_: Arrival) -> Verdict:
            raise ZeroDivisionError

        filters = [Sorter(fail), Sorter(lambda _: "INBOX"), Sorter(lambda _: Verdict(copies=(FileInto("Sent"),)))]
        self.assertEqual(await self.sorted_by(*filters), [None])
        self.assertEqual(await self.folders("ann"), {"INBOX": (1, []), "Sent": (1, [])})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    async def test_a_filter_that_cannot_decide_now(self: Any) -> None:
        def later(_: Arrival) -> Verdict:
            raise MailError(ErrorKind.UNAVAILABLE, "The scanner is away")

        self.assertEqual(await self.sorted_by(Sorter(later)), [ErrorKind.UNAVAILABLE])
        self.assertEqual(await self.folders("ann"), {})

    async def test_redirects(self: Any) -> None:
        """RFC: 5228 §4.2"""
        outside = Outside()
        sorter = Sorter(lambda _: Verdict(redirects=(Redirect("a@b.example"), Redirect("c@d.example")), keep=False))
        large = MESSAGE + b"0123456789\r\n" * 200_000
        for octets in (MESSAGE, large):
            self.assertEqual(await send(self.receiver(filters=[sorter], elsewhere=outside), ["ann"], octets), [None])
        self.assertEqual(await self.folders("ann"), {})
        self.assertEqual([each.recipients[0].address for each in outside.sent], ["a@b.example", "c@d.example"] * 2)
        self.assertTrue(all(each.octets.endswith(MESSAGE) for each in outside.sent[:2]))
        self.assertTrue(all(each.octets.endswith(large) for each in outside.sent[2:]))

    async def test_redirects_without_somebody_who_sends_them(self: Any) -> None:
        sorter = Sorter(lambda _: Verdict(redirects=(Redirect("a@b.example"),), keep=False))
        self.assertEqual(await self.sorted_by(sorter), [ErrorKind.RELAY_DENIED])

    # -- what goes wrong

    async def test_loops(self: Any) -> None:
        """RFC: 5321 §6.3"""
        again = b"Delivered-To: ANN@example.org\r\n" + MESSAGE
        told = await send(self.receiver(), ["ann@example.org", "bob@example.org"], again)
        self.assertEqual(told, [ErrorKind.LOOP, None])
        self.assertEqual(await self.folders("ann"), {})
        with self.assertRaises(MailError) as caught:
            await send(self.receiver(), ["ann"], b"Received: x\r\n" * 101 + MESSAGE)
        self.assertIs(caught.exception.kind, ErrorKind.LOOP)

    async def test_no_room_is_said_before_the_message_comes(self: Any) -> None:
        self.limits["ann"] = QuotaLimit(octets=3000)
        self.assertEqual(await send(self.receiver(), ["ann", "bob"], MESSAGE + b"x" * 2000), [None, None])
        to = self.receiver()
        told = []
        for size in (1, 5000):
            transaction = to.begin(RELAY, ReversePath("eve@example.net", size=size))
            try:
                await transaction.add_recipient(ForwardPath("ann"))
            except MailError as error:
                told.append(error.kind)
            else:
                told.append(None)
            transaction.abort()
        self.assertEqual(told, [None, ErrorKind.OVER_QUOTA])
        self.assertEqual(await send(to, ["ann", "bob"], MESSAGE + b"x" * 2000), [ErrorKind.OVER_QUOTA, None])
        self.assertEqual(len(await mail_of(self.store, "ann")), 1)
        self.assertEqual(len(await mail_of(self.store, "bob")), 2)

    async def test_one_account_that_fails_is_nobody_elses_concern(self: Any) -> None:
        real = self.store.account

        def account(user: str) -> Any:
            if user == "bob":
                raise MailError(ErrorKind.UNAVAILABLE, "away")
            if user == "Cleo":
                raise ZeroDivisionError
            return real(user)

        to = self.receiver()
        transaction = to.begin(RELAY, SENDER)
        for user in ("ann", "bob", "cleo"):
            await transaction.add_recipient(ForwardPath(user))
        for held in transaction._accounts.values():  # as if there were too many to hold them open
            held.release()
        transaction._accounts.clear()
        self.patch(self.store, "account", account)
        transaction.write(MESSAGE)
        filed, away, bug = await transaction.commit()
        self.assertIsNone(filed)
        self.assertEqual(away.text, "away")
        self.assertIs(bug.kind, ErrorKind.UNAVAILABLE)
        self.assertRegex(bug.text, r"^Internal error [0-9a-f]{8}$")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(await self.texts("ann"), [MESSAGE])

    async def test_a_copy_that_fails_when_another_is_filed(self: Any) -> None:
        account = await settled(self.store.account("ann"))
        append = type(account).append

        async def failing(this: Any, name: str, *arguments: Any, **named: Any) -> Any:
            if name == "Sent":
                raise MailError(ErrorKind.DISK_FULL, "The disk is full")
            return await settled(append(this, name, *arguments, **named))

        self.patch(type(account), "append", failing)
        account.release()
        sorter = Sorter(lambda _: Verdict(copies=(FileInto("Sent"), FileInto("Archive"))))
        self.assertEqual(await self.sorted_by(sorter), [None])
        self.assertEqual(await self.folders("ann"), {"Archive": (1, []), "INBOX": (1, [])})
        only = Sorter(lambda _: Verdict(copies=(FileInto("Sent"),), keep=False))
        self.assertEqual(await self.sorted_by(only), [ErrorKind.DISK_FULL])

    async def test_a_folder_that_goes_at_the_last_moment(self: Any) -> None:
        account = await settled(self.store.account("ann"))
        append = type(account).append

        async def failing(this: Any, name: str, *arguments: Any, **named: Any) -> Any:
            if name == "Sent":
                raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
            return await settled(append(this, name, *arguments, **named))

        self.patch(type(account), "append", failing)
        account.release()
        for octets in (MESSAGE, MESSAGE + b"0123456789\r\n" * 200_000):
            self.assertEqual(await send(self.receiver(), ["ann+sent"], octets), [None])
        self.assertEqual(await self.folders("ann"), {"INBOX": (2, [])})

    async def test_the_disk_fills_while_the_message_comes(self: Any) -> None:
        def full() -> None:
            raise MailError(ErrorKind.DISK_FULL, "The disk is full")

        to = self.receiver()
        to._run = lambda work: self.work.read("delivery", full)
        transaction = to.begin(RELAY, SENDER)
        await transaction.add_recipient(ForwardPath("ann"))
        with self.assertRaises(MailError) as caught:
            for _ in range(40):
                await settled(transaction.write(b"x" * 65_536))
        self.assertIs(caught.exception.kind, ErrorKind.DISK_FULL)
        self.assertIsNone(transaction.write(b"more"))
        with self.assertRaises(MailError) as caught:
            await transaction.commit()
        self.assertIs(caught.exception.kind, ErrorKind.DISK_FULL)
        self.assertEqual(await self.folders("ann"), {})

    async def test_given_up(self: Any) -> None:
        to = self.receiver()
        for octets in (MESSAGE, MESSAGE + b"x" * (2 << 20)):
            transaction = to.begin(RELAY, SENDER)
            await transaction.add_recipient(ForwardPath("ann"))
            await settled(transaction.write(octets))
            transaction.abort()
            transaction.abort()
            self.assertIsNone(transaction.write(b"more"))
            with self.assertRaises(MailError) as caught:
                await transaction.commit()
            self.assertIs(caught.exception.kind, ErrorKind.CANNOT)
        self.assertEqual(await self.folders("ann"), {})
        self.assertEqual(to._bodies._free, filing._ROOM)
        self.assertEqual(to.copies._free, filing._ROOM)

    async def test_given_up_too_late(self: Any) -> None:
        transaction = self.receiver().begin(RELAY, SENDER)
        await transaction.add_recipient(ForwardPath("ann"))
        transaction.write(MESSAGE)
        filed = Deferred.fromCoroutine(transaction.commit())
        transaction.abort()
        self.assertEqual(await filed, [None])
        self.assertEqual(await self.texts("ann"), [MESSAGE])

    async def test_nobody_waits_for_it_any_more(self: Any) -> None:
        to = self.receiver()
        for octets in (MESSAGE, MESSAGE + b"x" * (2 << 20)):
            for turns in range(4):
                transaction = to.begin(RELAY, SENDER)
                for user in ("ann", "bob"):
                    await transaction.add_recipient(ForwardPath(user))
                await settled(transaction.write(octets))
                filing_it = Deferred.fromCoroutine(transaction.commit())
                for _ in range(turns):
                    await self.work.read("delivery", lambda: None)
                filing_it.cancel()
                filing_it.addErrback(lambda _: None)
                await filing_it
        for user in ("ann", "bob"):
            self.assertTrue(set(await self.texts(user)) <= {MESSAGE, MESSAGE + b"x" * (2 << 20)})
        self.assertEqual(to._bodies._free, filing._ROOM)
        self.assertEqual(to.copies._free, filing._ROOM)
        self.assertEqual(self.flushLoggedErrors(), [])

    # -- many

    async def test_many_transactions_at_once(self: Any) -> None:
        to = self.receiver()
        texts = [MESSAGE + b"%d\r\n" % number * (1 if number % 10 else 20_000) for number in range(50)]
        sent = [Deferred.fromCoroutine(send(to, ["ann", "bob"], text)) for text in texts]
        self.assertEqual(await gatherResults(sent), [[None, None]] * 50)
        for user in ("ann", "bob"):
            self.assertEqual(sorted(await self.texts(user)), sorted(texts))
        self.assertEqual(to._bodies._free, filing._ROOM)
        self.assertEqual(to.copies._free, filing._ROOM)

    async def test_many_recipients(self: Any) -> None:
        users = [f"u{number}" for number in range(60)]
        self.users = users
        for octets in (MESSAGE, MESSAGE + b"x" * (2 << 20)):
            self.assertEqual(await send(self.receiver(), users, octets), [None] * len(users))
        to = self.receiver(aliases=f"all: {', '.join(users)}")
        self.assertEqual(await send(to, ["all"]), [None])
        for user in users:
            self.assertEqual(len(await mail_of(self.store, user)), 3)


class MemoryTests(Deliveries, TestCase):
    def open_store(self) -> MemoryStore:
        return MemoryStore(summarise, quota=self.quota)


class MaildirTests(Deliveries, TestCase):
    def open_store(self) -> MaildirStore:
        self.place = Path(self.mktemp())
        return MaildirStore(reactor, lambda user: self.place / user, summarise, quota=self.quota)

    async def close(self) -> None:
        for each in self.receivers:
            each.accounts.close()
        assert not [account.uses for account in self.store._accounts.values() if account.uses], "one is still open"
        await super().close()
        left = list(self.place.glob("*/**/tmp/*"))
        assert not left, left

    async def test_the_date_is_now_and_the_file_is_readable_for_others(self) -> None:
        self.assertEqual(await send(self.receiver(), ["ann"]), [None])
        (file,) = (self.place / "ann" / "cur").iterdir()
        self.assertTrue(file.name.endswith(":2,"))
        self.assertGreater(file.stat().st_mtime, NOW)
        self.assertTrue(file.read_bytes().endswith(MESSAGE.replace(b"\r\n", b"\n")))
