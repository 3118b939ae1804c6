"""Wakes and events come later, once, and never in the call of the one who made the change."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from mailpost.storage.changehub import ChangeHub, Event, FolderCreated, FolderRenamed, MailboxChanged


class BrokenError(Exception):
    """A listener's bug."""


class ChangeHubTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turns: list[Callable[[], None]] = []
        self.hub = ChangeHub(self.turns.append)
        self.heard: list[object] = []

    def turn(self) -> None:
        turns, self.turns[:] = list(self.turns), []
        for each in turns:
            each()

    def wake(self) -> None:
        self.heard.append("wake")

    def test_many_changes_wake_once_and_later(self) -> None:
        self.hub.wake_later(self.wake)
        self.hub.wake_later(self.wake)
        self.assertEqual((self.heard, len(self.turns)), ([], 1))
        self.turn()
        self.assertEqual(self.heard, ["wake"])
        self.hub.wake_later(self.wake)
        self.turn()
        self.assertEqual(self.heard, ["wake", "wake"])

    def test_who_wakes_others_does_so_in_another_turn(self) -> None:
        self.hub.wake_later(lambda: self.hub.wake_later(self.wake))
        self.turn()
        self.assertEqual(self.heard, [])
        self.turn()
        self.assertEqual(self.heard, ["wake"])

    def test_forgotten_in_time(self) -> None:
        self.hub.wake_later(self.wake)
        self.hub.forget(self.wake)
        self.hub.forget(self.wake)
        self.turn()
        self.assertEqual(self.heard, [])

    def test_events_in_order_without_repeats(self) -> None:
        self.hub.subscribe(self.heard.append)
        events = [FolderCreated("a"), MailboxChanged("a"), MailboxChanged("a"), FolderRenamed("a", "b")]
        for event in events:
            self.hub.publish(event)
        self.assertEqual(self.heard, [])
        self.turn()
        self.assertEqual(self.heard, [events[0], events[1], events[3]])

    def test_without_listeners_nothing_is_kept(self) -> None:
        self.hub.publish(FolderCreated("a"))
        self.assertEqual(self.turns, [])

    def test_a_listener_taken_off_hears_no_more(self) -> None:
        def first(event: Event) -> None:
            self.heard.append(event)
            self.hub.unsubscribe(first)
            self.hub.unsubscribe(second)

        def second(event: Event) -> None:
            self.heard.append("never")

        self.hub.subscribe(first)
        self.hub.subscribe(second)
        self.hub.publish(FolderCreated("a"))
        self.turn()
        self.assertEqual(self.heard, [FolderCreated("a")])

    def test_a_broken_watcher_or_listener_harms_no_other(self) -> None:
        def broken(*_: object) -> None:
            raise BrokenError

        self.hub.subscribe(broken)
        self.hub.subscribe(self.heard.append)
        self.hub.publish(FolderCreated("a"))
        self.hub.wake_later(broken)
        self.hub.wake_later(self.wake)
        self.turn()
        self.assertEqual(self.heard, [FolderCreated("a"), "wake"])
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 2)
