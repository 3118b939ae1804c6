"""Backups of what moves while it is copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailpost.storage.maildir import backup as module
from mailpost.storage.maildir import tree, writing
from mailpost.storage.maildir.layout import MaildirPlusPlus

from .lanes import MESSAGE, Bench


def test_what_moves_to_and_fro_between_two_listings_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by chance: each time a folder was listed, its messages had just gone to the other one."""
    bench = Bench(tmp_path / "ann")
    bench.do(tree.create, "Work", None)
    bench.append(MESSAGE, MESSAGE)
    folders = ["INBOX", "Work"]
    passes = []
    listings = module._Copy._listings

    def dodging(copy: Any, directories: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
        passes.append(len(passes))
        if len(passes) > 2:
            yield from listings(copy, directories)
            return
        here, there = folders
        bench.do(writing.copy, bench.number(here), bench.number(there), [(1, 99)], move=True, origin=None)
        folders.reverse()
        yield from ((directory, {}) for directory, _ in listings(copy, directories))

    monkeypatch.setattr(module._Copy, "_listings", dodging)
    assert module.backup(bench.root, None, MaildirPlusPlus(), tmp_path / "copy") == 2
    assert len(passes) > 2
    bench.close()
    restored = Bench(tmp_path / "copy")
    for name in folders:
        restored.look(name)
    assert sum(len(restored.names(name)) for name in folders) == 2
    restored.close()
