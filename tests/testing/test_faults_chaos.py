"""Chaos is decided by its seed and by where in a dialogue it is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.task import Clock

from mailpost.faults.chaos import chosen
from mailpost.faults.fault import Fault
from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.factory import DIALOGUES
from mailpost.wire.dialogue import Command

VERBS = some.sampled_from(["FETCH", "GREETING"])
PLACES = some.tuples(some.sampled_from(sorted(DIALOGUES)), some.integers(1, 9), some.integers(0, 9), VERBS)


def choice(seed: int, chance: float, protocol: str, number: int, commands: int, verb: str) -> Fault | None:
    conversation = Conversation(protocol, number, "", DIALOGUES[protocol](), Clock())
    conversation.commands = commands
    return chosen(Fault(chaos=seed, chance=chance), conversation, Command(b"", verb))


@given(some.integers(0, 10**6), PLACES)
def test_the_same_seed_and_place_choose_the_same(seed: int, place: tuple[str, int, int, str]) -> None:
    assert choice(seed, 1.0, *place) == choice(seed, 1.0, *place)
    assert choice(seed, 0.0, *place) is None
    fault = choice(seed, 1.0, *place)
    assert fault is not None
    if choice(seed, 0.5, *place) is not None:
        assert choice(seed, 0.5, *place) == fault, "the chance says whether, not what"


def test_all_kinds_come_as_often_as_they_should() -> None:
    choices = [choice(seed, 0.25, "imap", 1, 1, "FETCH") for seed in range(4000)]
    met = [each for each in choices if each is not None]
    assert 800 < len(met) < 1200
    kinds = Counter(each.action for each in met)
    assert set(kinds) == {"drop_after", "delay", "bye_after", "answer"}
    assert min(kinds.values()) > 150
