"""The octets of a message while it comes in."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import TestCase

from mailpost.delivery import body as module
from mailpost.delivery.body import LARGEST_IN_MEMORY, LONGEST_HEADER, Body, Room
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.offload import settled


class Threads:
    """Runs what is asked for when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, Deferred[Any]]] = []

    def run(self, work: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.waiting.append((work, answer))
        return answer

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for work, answer in waiting:
            answer.callback(work())


async def written(body: Body, octets: bytes, piece: int) -> None:
    for start in range(0, len(octets), piece):
        await settled(body.write(octets[start : start + piece]))
    await body.finish()


async def read(body: Body, offset: int) -> bytes:
    return b"".join([piece async for piece in body.pieces(offset)])


class Tests(TestCase):
    def body(self, room: int = 64 << 20) -> Body:
        self.room = Room(room)
        return Body(self.room, lambda work: succeed(work()))

    async def test_a_small_message_stays_in_memory(self) -> None:
        body = self.body()
        octets = os.urandom(LARGEST_IN_MEMORY)
        await written(body, octets, 70_000)
        self.assertTrue(body.in_memory)
        self.assertEqual(await body.octets(), octets)
        self.assertTrue(octets.startswith(body.start))
        self.assertGreaterEqual(len(body.start), LONGEST_HEADER)
        self.assertEqual(await body.octets(5), octets[5:])
        self.assertEqual(body.size, len(octets))
        self.assertEqual(self.room._free, (64 << 20) - len(octets))
        body.close()
        body.close()
        self.assertEqual(self.room._free, 64 << 20)

    async def test_the_header_is_at_its_start_however_it_came(self) -> None:
        octets = b"Subject: a\r\nX: " + b"x" * 3_000 + b"\r\n\r\n" + b"body\r\n" * 100
        end = octets.index(b"\r\n\r\n") + 4
        for piece in (1, 17, end - 2, end, len(octets)):
            body = self.body()
            await written(body, octets, piece)
            self.assertEqual(body.start[:end], octets[:end])
            for offset in (0, 1, end - 1, end, len(octets) - 1, len(octets)):
                self.assertEqual(await body.octets(offset), octets[offset:])
            body.close()

    async def test_a_message_that_was_given_up_has_no_octets(self) -> None:
        body = self.body()
        await written(body, b"Subject: a\r\n\r\nb\r\n", 100)
        body.close()
        with self.assertRaises(MailError) as caught:
            await body.octets()
        self.assertIs(caught.exception.kind, ErrorKind.CANNOT)

    async def test_a_large_one_goes_into_a_file_as_it_comes(self) -> None:
        octets = os.urandom(3 << 20)
        for piece in (1_000, 65_536, 3 << 20):
            body = self.body()
            await written(body, octets, piece)
            self.assertFalse(body.in_memory)
            self.assertEqual(body.start, octets[:LONGEST_HEADER])
            self.assertEqual(await read(body, 7), octets[7:])
            self.assertEqual(await body.octets(3), octets[3:])
            self.assertEqual(self.room._free, 64 << 20, "no memory is kept for it")
            file = body._file
            assert file is not None
            body.close()
            self.assertTrue(file._file.closed)
            with self.assertRaises(MailError):
                await body.octets()

    async def test_no_memory_is_left_for_it(self) -> None:
        body = self.body(room=100)
        other = Body(self.room, lambda work: succeed(work()))
        await written(other, b"x" * 90, 90)
        await written(body, b"y" * 20, 7)
        self.assertTrue(other.in_memory)
        self.assertFalse(body.in_memory)
        self.assertEqual(await read(body, 0), b"y" * 20)
        body.close()
        other.close()

    def test_the_file_has_no_name_and_is_where_it_is_wanted(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        body = Body(Room(10), lambda work: succeed(work()), folder)
        self.successResultOf(Deferred.fromCoroutine(written(body, b"y" * 100_000, 50_000)))
        assert body._file is not None
        where = Path(f"/proc/self/fd/{body._file._file.fileno()}").readlink()
        self.assertEqual(where.parent, folder.resolve())
        self.assertEqual(list(folder.iterdir()), [])
        body.close()

    async def test_a_full_disk(self) -> None:
        body = self.body(room=10)

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "no space")

        self.patch(module._File, "append", full)
        with self.assertRaises(MailError) as caught:
            await settled(body.write(b"x" * 100_000))
        self.assertIs(caught.exception.kind, ErrorKind.DISK_FULL)
        body.close()

    async def test_no_folder_for_the_file(self) -> None:
        body = Body(Room(10), lambda work: succeed(work()), Path("/does/not/exist"))
        with self.assertRaises(MailError) as caught:
            await written(body, b"x" * 100, 100)
        self.assertIs(caught.exception.kind, ErrorKind.UNAVAILABLE)
        body.close()

    def test_the_client_waits_for_a_slow_disk(self) -> None:
        threads = Threads()
        body = Body(Room(10), threads.run)
        self.assertIsNone(body.write(b"x" * 1000))
        first, second = body.write(b"x" * 100_000), body.write(b"y" * 100_000)
        assert isinstance(first, Deferred) and isinstance(second, Deferred)
        self.assertNoResult(first)
        self.assertNoResult(second)
        threads.turn()
        self.successResultOf(first)
        self.assertNoResult(second)
        threads.turn()
        self.successResultOf(second)
        body.close()
        threads.turn()
        assert body._file is not None
        self.assertTrue(body._file._file.closed)

    def test_given_up_while_it_is_written(self) -> None:
        threads = Threads()
        body = Body(Room(10), threads.run)
        waiting = body.write(b"x" * 100_000)
        assert isinstance(waiting, Deferred)
        body.close()
        threads.turn()
        self.successResultOf(waiting)
        threads.turn()
        assert body._file is not None
        self.assertTrue(body._file._file.closed)


class RoomTests(TestCase):
    def test_those_who_wait_get_theirs_in_turn(self) -> None:
        room = Room(10)
        self.assertTrue(room.take(8))
        large, small = (Deferred.fromCoroutine(room.wait(octets)) for octets in (50, 1))
        self.assertNoResult(large)
        self.assertNoResult(small)
        self.assertFalse(room.take(1), "nobody passes those who wait")
        room.give(8)
        self.assertEqual(self.successResultOf(large), 10, "all there is")
        self.assertNoResult(small)
        room.give(10)
        self.assertEqual(self.successResultOf(small), 1)
        room.give(1)
        self.assertTrue(room.take(10))

    def test_one_who_waits_no_longer_holds_nobody_up(self) -> None:
        room = Room(10)
        room.take(8)
        large, small = (Deferred.fromCoroutine(room.wait(octets)) for octets in (5, 1))
        large.cancel()
        self.failureResultOf(large, CancelledError)
        self.assertEqual(self.successResultOf(small), 1)
        room.give(9)
        self.assertTrue(room.take(10))
