"""Hearing of what other programs do to folders, by inotify and by polling."""

# ruff: noqa: PTH104, PTH108, ASYNC240, PLC0415 (what other programs do to files; inotify is imported on Linux only)

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from unittest import skipUnless

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mailpost.storage.maildir import watch as watch_module
from mailpost.storage.maildir.watch import FolderWatch, Watcher
from mailpost.storage.offload import Offload


class BrokenError(Exception):
    """A bug of one who watches."""


class WatchCase(TestCase):
    use_inotify = True

    def setUp(self) -> None:
        self.offload = Offload(reactor, threads=1)  # type: ignore[arg-type]
        self.addCleanup(self.offload.close)
        self.watcher = Watcher(reactor, self.offload, self.use_inotify)
        self.addCleanup(self.watcher.close)
        self.heard: list[str] = []

    def folder(self, name: str = "folder") -> Path:
        root = Path(tempfile.mkdtemp()) / name
        self.addCleanup(shutil.rmtree, root.parent)
        for directory in ("cur", "new"):
            (root / directory).mkdir(parents=True)
        return root

    def watch(self, root: Path, name: str = "dirty") -> FolderWatch:
        return self.watcher.watch([str(root / "cur"), str(root / "new")], lambda: self.heard.append(name))

    async def until(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        end = perf_counter() + seconds
        while not condition():
            self.assertLess(perf_counter(), end, "it never happened")
            await deferLater(reactor, 0.002)

    async def quiet(self) -> None:
        """Long enough for anything that is going to be heard."""
        await deferLater(reactor, 0.05)


@skipUnless(sys.platform == "linux", "inotify is Linux's")
class InotifyTests(WatchCase):
    async def test_delivery_flags_and_deletion_are_heard_within_20_ms(self) -> None:
        root = self.folder()
        (root / "tmp").write_bytes(b"x")
        self.watch(root)
        steps: list[Callable[[], None]] = [
            lambda: os.rename(root / "tmp", root / "new" / "a"),
            lambda: os.rename(root / "new" / "a", root / "cur" / "a:2,"),
            lambda: os.rename(root / "cur" / "a:2,", root / "cur" / "a:2,S"),
            lambda: os.link(root / "cur" / "a:2,S", root / "cur" / "b:2,"),
            lambda: os.unlink(root / "cur" / "a:2,S"),
        ]
        slowest = 0.0
        for step in steps:
            self.heard.clear()
            begun = perf_counter()
            step()
            await self.until(lambda: self.heard)
            slowest = max(slowest, perf_counter() - begun)
            await self.quiet()
            self.assertLessEqual(len(self.heard), 2)
        self.assertLess(slowest, 0.5)

    async def test_what_has_happened_can_be_heard_at_once(self) -> None:
        root = self.folder()
        watch = self.watch(root)
        self.assertTrue(watch.up_to_date())
        self.assertEqual(self.heard, [])
        (root / "new" / "x").write_bytes(b"")
        self.assertTrue(watch.up_to_date())
        self.assertEqual(self.heard, ["dirty"])
        await self.quiet()
        self.assertEqual(self.heard, ["dirty"])

    async def test_reading_and_rewriting_is_not_news(self) -> None:
        root = self.folder()
        (root / "cur" / "a").write_bytes(b"x")
        self.watch(root)
        (root / "cur" / "a").read_bytes()
        os.utime(root / "cur" / "a", (1, 1))
        list((root / "cur").iterdir())
        await self.quiet()
        self.assertEqual(self.heard, [])

    async def test_our_own_changes_are_passed_over_once(self) -> None:
        root = self.folder()
        (root / "cur" / "a:2,").write_bytes(b"x")
        watch = self.watch(root)
        watch.ours(came=["a:2,S", "b"], went=["a:2,"])
        os.rename(root / "cur" / "a:2,", root / "cur" / "a:2,S")
        (root / "cur" / "b").write_bytes(b"x")
        await self.quiet()
        self.assertEqual(self.heard, [])
        os.rename(root / "cur" / "a:2,S", root / "cur" / "a:2,")
        await self.until(lambda: self.heard)
        self.heard.clear()
        os.rename(root / "cur" / "a:2,", root / "cur" / "a:2,S")
        await self.until(lambda: self.heard)

    async def test_the_same_change_announced_twice_is_expected_twice(self) -> None:
        root = self.folder()
        watch = self.watch(root)
        watch.ours(came=["a", "a"], went=["a"])
        for _ in range(2):
            (root / "new" / "a").write_bytes(b"")
            (root / "new" / "a").unlink()
            await self.quiet()
        self.assertEqual(self.heard, ["dirty"])

    async def test_what_was_announced_and_did_not_happen_is_not_waited_for_long(self) -> None:
        self.patch(watch_module, "_EXPECTED_FOR", 0.0)
        root = self.folder()
        watch = self.watch(root)
        watch.ours(came=["late", "never"])
        await self.quiet()
        watch.ours(came=["other"])
        (root / "new" / "late").write_bytes(b"")
        await self.until(lambda: self.heard)

    async def test_only_the_folder_that_changed(self) -> None:
        roots = [self.folder("a"), self.folder("b")]
        self.watch(roots[0], "a")
        self.watch(roots[1], "b")
        (roots[1] / "new" / "x").write_bytes(b"")
        await self.until(lambda: self.heard)
        self.assertEqual(self.heard, ["b"])

    async def test_a_stopped_watch_is_silent(self) -> None:
        root = self.folder()
        first, second = self.watch(root, "first"), None
        (root / "new" / "x").write_bytes(b"")
        first.stop()
        first.stop()
        second = self.watch(root, "second")
        (root / "new" / "y").write_bytes(b"")
        await self.until(lambda: self.heard)
        self.assertEqual(self.heard, ["second"])
        second.stop()

    async def test_a_folder_deleted_disturbs_no_other(self) -> None:
        gone, kept = self.folder("gone"), self.folder("kept")
        self.watch(gone, "gone")
        self.watch(kept, "kept")
        (gone / "cur").rmdir()
        await self.until(lambda: self.heard)
        self.heard.clear()
        (kept / "new" / "x").write_bytes(b"")
        await self.until(lambda: self.heard)
        self.assertEqual(self.heard, ["kept"])

    async def test_a_renamed_folder_is_followed_and_its_old_name_is_free(self) -> None:
        root = self.folder()
        self.watch(root, "old")
        moved = root.rename(root.with_name("moved"))
        for directory in ("cur", "new"):
            (root / directory).mkdir(parents=True)
        self.watch(root, "new")
        self.heard.clear()
        (moved / "cur" / "x").write_bytes(b"")
        await self.until(lambda: self.heard)
        (root / "cur" / "x").write_bytes(b"")
        await self.until(lambda: len(self.heard) > 1)
        self.assertEqual(self.heard, ["old", "new"])

    async def test_an_overflow_makes_everything_dirty(self) -> None:
        limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        busy, other = self.folder("busy"), self.folder("other")
        self.watch(busy, "busy")
        self.watch(other, "other")
        path = str(busy / "cur" / "x")
        other_path = str(busy / "cur" / "y")
        Path(path).write_bytes(b"")
        for _ in range(limit // 4 + 10):
            os.rename(path, other_path)
            os.rename(other_path, path)
        await self.until(lambda: "other" in self.heard)
        self.assertIn("busy", self.heard)

    async def test_a_bug_of_one_who_watches_harms_no_other(self) -> None:
        def broken() -> None:
            raise BrokenError

        root, other = self.folder("a"), self.folder("b")
        self.watcher.watch([str(root / "new")], broken)
        self.watch(other)
        (root / "new" / "x").write_bytes(b"")
        (other / "new" / "x").write_bytes(b"")
        await self.until(lambda: self.heard)
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 1)

    async def test_a_folder_that_cannot_be_watched_is_polled(self) -> None:
        self.patch(watch_module, "POLL_SECONDS", 0.01)
        root = self.folder()
        (root / "new").rmdir()
        self.watch(root)
        await self.until(lambda: self.heard)
        await deferLater(reactor, 0.1)
        self.heard.clear()
        (root / "new").mkdir()
        await self.until(lambda: self.heard)


class PollingTests(WatchCase):
    use_inotify = False

    def setUp(self) -> None:
        self.patch(watch_module, "POLL_SECONDS", 0.01)
        super().setUp()

    async def settled(self) -> None:
        """Until the modification times are old enough to be relied upon."""
        await deferLater(reactor, 0.15)
        self.heard.clear()

    async def test_a_change_is_heard_and_then_it_is_quiet(self) -> None:
        root = self.folder()
        watch = self.watch(root)
        await self.settled()
        await self.quiet()
        self.assertEqual(self.heard, [])
        (root / "new" / "x").write_bytes(b"")
        await self.until(lambda: self.heard)
        await self.settled()
        watch.stop()
        (root / "new" / "y").write_bytes(b"")
        await self.quiet()
        self.assertEqual(self.heard, [])

    async def test_a_closing_store_ends_it(self) -> None:
        self.watch(self.folder())
        await self.offload.close()
        await self.quiet()
        self.watcher.close()
        waiting: Deferred[None] = self.offload.close()
        await waiting
        self.assertEqual(self.watcher._polled, {})


@skipUnless(sys.platform == "linux", "inotify is Linux's")
class ExhaustedTests(TestCase):
    async def test_without_an_instance_left_folders_are_polled(self) -> None:
        from twisted.internet.inotify import INotify, INotifyError

        class Exhausted:
            @staticmethod
            def init() -> int:
                raise INotifyError("none left")

        self.patch(INotify, "_inotify", Exhausted)
        offload = Offload(reactor, threads=1)  # type: ignore[arg-type]
        watcher = Watcher(reactor, offload)
        watch = watcher.watch(["/nowhere"], lambda: None)
        self.assertEqual(list(watcher._polled), [watch])
        self.assertFalse(watch.up_to_date())
        watcher.close()
        await offload.close()
