"""What was acknowledged, what a command under way may have done, and whether a server's answer fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256


def digest(octets: bytes) -> str:
    """What stands for a message's octets."""
    return sha256(octets).hexdigest()[:16]


@dataclass(frozen=True)
class Letter:
    """A message: the hash of its octets, and its flags but \\Recent."""

    digest: str
    flags: frozenset[str]


@dataclass(frozen=True)
class Box:
    """A folder."""

    uidvalidity: int
    """0: not known yet."""
    uidnext: int
    """No message that comes later has a UID below this one."""
    letters: Mapping[int, Letter]


Tree = Mapping[str, Box]


@dataclass(frozen=True)
class Step:
    """What one command does, wholly or not at all."""

    kind: str
    added: Mapping[str, Sequence[Letter]] = field(default_factory=dict)
    removed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    flagged: Mapping[str, Mapping[int, frozenset[str]]] = field(default_factory=dict)
    renamed: tuple[str, str] | None = None
    created: str | None = None
    deleted: str | None = None


def after(tree: Tree, step: Step) -> dict[str, Box]:
    """The tree when the step is done, but for messages that it adds, whose UIDs the server chooses."""
    boxes = {}
    for name, box in tree.items():
        letters = {uid: letter for uid, letter in box.letters.items() if uid not in step.removed.get(name, ())}
        for uid, flags in step.flagged.get(name, {}).items():
            letters[uid] = replace(letters[uid], flags=flags)
        boxes[name] = replace(box, letters=letters)
    if step.renamed is not None:
        old, new = step.renamed
        boxes = {
            new + name[len(old) :] if name == old or name.startswith(old + "/") else name: box
            for name, box in boxes.items()
        }
    if step.created is not None:
        boxes[step.created] = Box(0, 1, {})
    if step.deleted is not None:
        del boxes[step.deleted]
    return boxes


def with_added(tree: Tree, name: str, uids: Sequence[int], letters: Sequence[Letter]) -> dict[str, Box]:
    """The tree with messages that the server has given these UIDs."""
    box = tree[name]
    assert len(uids) == len(letters), f"{name}: {len(letters)} messages were given {len(uids)} UIDs"
    assert min(uids) >= box.uidnext, f"{name}: UID {min(uids)} was given twice (next was {box.uidnext})"
    come = dict(zip(uids, letters, strict=True))
    return {**tree, name: replace(box, uidnext=max(uids) + 1, letters={**box.letters, **come})}


def differences(expected: Tree, added: Mapping[str, Sequence[Letter]], found: Tree) -> list[str]:
    """In what a server's tree is not the expected one with these messages added; empty when it is."""
    wrong = [f"folder {name} is lost" for name in expected.keys() - found.keys()]
    wrong += [f"folder {name} should not be" for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        wrong += [f"{name}: {text}" for text in _box_differences(expected[name], added.get(name, ()), found[name])]
    return wrong


def _box_differences(expected: Box, added: Sequence[Letter], found: Box) -> list[str]:
    wrong = []
    if expected.uidvalidity not in (0, found.uidvalidity):
        wrong.append(f"UIDVALIDITY was {expected.uidvalidity} and is {found.uidvalidity}")
    if found.uidnext < expected.uidnext:
        wrong.append(f"UIDNEXT was {expected.uidnext} and is {found.uidnext}")
    rest = dict(found.letters)
    for uid, letter in expected.letters.items():
        got = rest.pop(uid, None)
        if got is None:
            wrong.append(f"UID {uid} is lost")
        elif got != letter:
            wrong.append(f"UID {uid} was {letter} and is {got}")
    missing, extra = Counter(added), Counter(rest.values())
    if missing != extra:
        wrong.append(f"missing {missing - extra}, too many {extra - missing} (UIDs {sorted(rest)})")
    wrong += [f"UID {uid} was given before" for uid in rest if uid < expected.uidnext]
    return wrong
