"""What every mail store promises of what it shows of messages."""

from __future__ import annotations

from typing import Any

from mailpost.mail.flags import (
    DELETED,
    FlagChange,
    intern_flags,
)
from mailpost.mail.searchkeys import EmailId, ThreadId
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import Attribute, HeaderFields
from mailpost.testing.contract.base import ENCODED, FOLDED, NOON, ODD, PLAIN, REPLY, Contract


class FetchContract(Contract):
    """FETCH. RFC: 3501 §6.4.5"""

    async def test_attributes_in_the_order_asked_for(self) -> None:
        """Values follow the attributes, whatever their order."""
        await self.add(PLAIN, REPLY)
        mailbox = await self.opened()
        rows = await self.rows(mailbox, [1, 2], Attribute.OCTETS, Attribute.SIZE, Attribute.INTERNALDATE)
        self.assertEqual(rows, [(1, PLAIN, len(PLAIN), NOON), (2, REPLY, len(REPLY), NOON)])
        rows = await self.rows(mailbox, [2], Attribute.INTERNALDATE, Attribute.OCTETS)
        self.assertEqual(rows, [(2, NOON, REPLY)])

    async def test_structures_are_ready_for_the_wire(self) -> None:
        """ENVELOPE and BODYSTRUCTURE are parenthesised values."""
        await self.add(PLAIN, *ODD.values())
        mailbox = await self.opened()
        rows = await self.rows(mailbox, mailbox.live.uids, Attribute.ENVELOPE, Attribute.BODYSTRUCTURE)
        self.assertEqual(len(rows), 1 + len(ODD))
        for _, envelope, structure in rows:
            self.assertEqual((envelope[:1], envelope[-1:], structure[:1], structure[-1:]), (b"(", b")", b"(", b")"))
        self.assertIn(b"Lunch", rows[0][1])

    async def test_header_fields(self) -> None:
        """Fields as they stand, in their order, of any case, folded, repeated; common ones and others.

        The empty line is where the message has one. RFC: 9051 §6.4.5
        """
        await self.add(FOLDED, b"\r\nno header\r\n", b"Subject: all\r\n")
        mailbox = await self.opened()
        received = HeaderFields((b"received",))
        several = HeaderFields((b"subject", b"x-empty", b"x-none"))
        rows = await self.rows(mailbox, [1, 2, 3], received, Attribute.SIZE, several)
        self.assertEqual(
            rows,
            [
                (
                    1,
                    b"Received: one\r\n\tand more\r\nReceived: two\r\n\r\n",
                    len(FOLDED),
                    b"subject: folded\r\n over two lines\r\nX-Empty:\r\nSUBJECT: again\r\n\r\n",
                ),
                (2, b"\r\n", len(b"\r\nno header\r\n"), b"\r\n"),
                (3, b"", len(b"Subject: all\r\n"), b"Subject: all\r\n"),
            ],
        )
        self.assertEqual(
            await self.rows(mailbox, [1, 3], HeaderFields((b"subject",))),
            [
                (1, b"subject: folded\r\n over two lines\r\nSUBJECT: again\r\n\r\n"),
                (3, b"Subject: all\r\n"),
            ],
        )

    async def test_order_and_the_gone(self) -> None:
        """Rows come in the order of UIDs; the gone and the never seen have none."""
        uids = await self.numbered(6)
        mailbox = await self.opened()
        await ask(mailbox.store([2, 5], FlagChange.ADD, intern_flags([DELETED])))
        await ask(mailbox.expunge())
        for attribute in (Attribute.SIZE, Attribute.OCTETS, Attribute.ENVELOPE, HeaderFields((b"subject",))):
            rows = await self.rows(mailbox, [*uids, 7, 4_000_000_000], attribute)
            self.assertEqual([row[0] for row in rows], [1, 3, 4, 6])
        self.assertEqual(await self.rows(mailbox, [], Attribute.OCTETS), [])
        self.assertEqual(await self.rows(mailbox, [2], Attribute.OCTETS), [])

    async def test_identities(self) -> None:
        """EMAILID stays with the octets and THREADID with the conversation; the save date is the folder's own.

        RFC: 8474 §5, 8514 §3
        """
        await self.add(PLAIN, REPLY, FOLDED)
        await ask(self.account.create("Other"))
        mailbox, wanted = await self.opened(), (Attribute.EMAILID, Attribute.THREADID)
        first, second, third = await self.rows(mailbox, [1, 2, 3], *wanted)
        self.assertEqual(len({first[1], second[1], third[1]}), 3)
        self.assertEqual(first[2], second[2])
        self.assertNotEqual(first[2], third[2])
        await ask(mailbox.copy([2], "Other", move=True))
        other = await self.opened("Other")
        self.assertEqual(await self.rows(other, [1], *wanted), [(1, *second[1:])])
        self.assertEqual(await ask(mailbox.search(EmailId(third[1]))), [3])
        self.assertEqual(await ask(mailbox.search(ThreadId(first[2]))), [1])
        self.assertEqual(await ask(other.search(ThreadId(first[2]))), [1])
        ((_, saved, date),) = await self.rows(mailbox, [1], Attribute.SAVEDATE, Attribute.INTERNALDATE)
        self.assertEqual(date, NOON)
        self.assertGreater(saved, NOON)

    async def test_previews(self) -> None:
        """The first words; what is at hand is the same, or NIL, and does not change what else is told.

        RFC: 8970 §3.2, §4.1
        """
        await self.add(PLAIN, ENCODED, b"Subject: x\r\nContent-Type: image/png\r\n\r\nx\r\n")
        mailbox = await self.opened()
        lazy = await self.rows(mailbox, [1, 2, 3], Attribute.PREVIEW_AT_HAND, Attribute.INTERNALDATE)
        wanted = [b'"At noon?"', b"{14}\r\n" + "Über das Meer".encode(), b'""']
        self.assertEqual(await self.rows(mailbox, [1, 2, 3], Attribute.PREVIEW), [*zip([1, 2, 3], wanted, strict=True)])
        self.assertEqual([row[::2] for row in lazy], [(1, NOON), (2, NOON), (3, NOON)])
        for row, one in zip(lazy, wanted, strict=True):
            self.assertIn(row[1], (b"NIL", one))
        rows = await self.rows(mailbox, [1, 2, 3], Attribute.OCTETS, Attribute.PREVIEW_AT_HAND, Attribute.PREVIEW)
        self.assertEqual([row[3] for row in rows], wanted)
        for row, one in zip(rows, wanted, strict=True):
            self.assertIn(row[2], (b"NIL", one))
        await ask(self.account.create("Other"))
        await ask(mailbox.copy([1, 3], "Other"))
        rows = await self.rows(await self.opened("Other"), [1, 2], Attribute.PREVIEW)
        self.assertEqual(rows, [(1, wanted[0]), (2, wanted[2])])

    async def test_no_attributes(self) -> None:
        """Rows of nothing but UIDs."""
        await self.numbered(2)
        self.assertEqual(await self.rows(await self.opened(), [1, 2]), [(1,), (2,)])

    async def test_batches_are_bounded(self) -> None:
        """Big messages come one or a few at a time; a fetch may be given up at any point."""
        await self.add(*(b"Subject: big\r\n\r\n" + b"x" * 200_000 + b"\r\n" for _ in range(5)))
        mailbox = await self.opened()
        batches: Any = mailbox.fetch(list(mailbox.live.uids), (Attribute.OCTETS,))
        first = await anext(batches)
        self.assertLessEqual(len(first), 2)
        await batches.aclose()
        self.assertEqual(len(await self.rows(mailbox, [1, 2, 3, 4, 5], Attribute.OCTETS)), 5)

    async def test_expunged_while_fetching(self) -> None:
        """A message that goes in the middle of a fetch is passed over, or its octets are whole."""
        octets = b"Subject: big\r\n\r\n" + b"x" * 150_000 + b"\r\n"
        await self.add(*[octets] * 6, flags=[DELETED])
        mailbox = await self.opened()
        batches = mailbox.fetch(list(mailbox.live.uids), (Attribute.OCTETS,))
        rows = list(await anext(batches))
        await ask(mailbox.expunge())
        async for batch in batches:
            rows += batch
        self.assertEqual({row[1] for row in rows}, {octets})
        self.assertEqual([row[0] for row in rows], sorted({row[0] for row in rows}))
