"""A tree whose folders lie otherwise than the server is set to is refused or told of, never shown as empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from mailpost.mail.errors import ErrorKind
from mailpost.storage.maildir import backup, checking
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.shape import OtherLayoutError
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.records import SpecialUse
from mailpost.wire.imap.structures import summarise
from tests.storage.turning import TurningReactor

FS, PLUS = Hierarchy.FS, Hierarchy.MAILDIR_PLUS_PLUS
DEFAULTS: dict[str, SpecialUse | None] = {"Drafts": SpecialUse.DRAFTS}


class Opened:
    """What came of opening an account: its folders, or the error; and what was logged."""

    def __init__(self, root: Path, hierarchy: Hierarchy) -> None:
        reactor = TurningReactor()
        logged: list[LogEvent] = []
        store = MaildirStore(
            reactor, lambda _: root, summarise, hierarchy=hierarchy, default_folders=DEFAULTS, use_inotify=False
        )
        globalLogPublisher.addObserver(logged.append)
        self.error: OtherLayoutError | None = None
        self.folders: list[str] = []
        try:
            account: Any = reactor.answer(store.account("ann"))
            self.folders = [folder.name for folder in account.folders()]
            account.release()
        except OtherLayoutError as error:
            self.error = error
        finally:
            reactor.answer(store.close())
            globalLogPublisher.removeObserver(logged.append)
        self.log = [str(formatEvent(event)) for event in logged if event["log_level"].name in ("warn", "error")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ann"


def make(root: Path, *directories: str, marked: bool = False) -> None:
    for directory in (".", *directories):
        for name in ("cur", "new", "tmp"):
            (root / directory / name).mkdir(parents=True, exist_ok=True)
        if marked and directory != ".":
            (root / directory / "maildirfolder").touch()


TREES = {PLUS: (".Work", ".Work.Reports"), FS: ("Work", "Work/Reports")}


@pytest.mark.parametrize("hierarchy", Hierarchy)
def test_a_tree_of_the_other_layout_is_not_opened(root: Path, hierarchy: Hierarchy, tmp_path: Path) -> None:
    other = FS if hierarchy is PLUS else PLUS
    make(root, *TREES[other], marked=other is PLUS)
    before = sorted(root.rglob("*"))
    opened = Opened(root, hierarchy)
    assert opened.error is not None
    assert opened.error.kind is ErrorKind.UNAVAILABLE
    assert str(root) not in opened.error.text
    (line,) = opened.log
    assert line.startswith(f"the account of ann is not opened: {root} has folders that are laid out as ")
    assert f'set layout = "{other.value}" under [storage]' in line
    assert TREES[other][0] in line
    assert sorted(root.rglob("*")) == before, "nothing was made in it"
    layout = layout_of(hierarchy)
    with pytest.raises(OtherLayoutError, match="set layout"):
        checking.check(root, None, layout, summarise)
    with pytest.raises(OtherLayoutError, match="set layout"):
        backup.backup(root, None, layout, tmp_path / "backup")
    assert Opened(root, other).folders == ["INBOX", "Work", "Work/Reports"]


@pytest.mark.parametrize("hierarchy", Hierarchy)
def test_a_setting_that_is_changed_later_is_noticed(root: Path, hierarchy: Hierarchy) -> None:
    assert "Drafts" in Opened(root, hierarchy).folders
    other = FS if hierarchy is PLUS else PLUS
    assert Opened(root, other).error is not None
    assert "Drafts" in Opened(root, hierarchy).folders


@pytest.mark.parametrize("hierarchy", Hierarchy)
def test_the_right_layout_needs_no_word(root: Path, hierarchy: Hierarchy) -> None:
    make(root, *TREES[hierarchy])
    opened = Opened(root, hierarchy)
    assert opened.folders == ["INBOX", "Work", "Work/Reports"]
    assert [line for line in opened.log if "layout" in line] == []


@pytest.mark.parametrize("hierarchy", Hierarchy)
def test_an_account_without_folders_is_of_any_layout(root: Path, hierarchy: Hierarchy) -> None:
    make(root)
    assert Opened(root, hierarchy).folders == ["INBOX"]


def test_a_stray_maildir_among_the_folders_is_told_of(root: Path) -> None:
    make(root, ".Work", "old/2019", "old/2020", "old/2021", "old/2022")
    (root / "plain").mkdir()
    opened = Opened(root, PLUS)
    assert opened.folders == ["INBOX", "Work"]
    (line,) = [line for line in opened.log if "layout" in line]
    assert f"{root} holds old/2019, old/2020, old/2021, ...: no folders in the layout maildir++" in line


def test_a_stray_maildir_in_an_account_that_was_served_so_shuts_nobody_out(root: Path) -> None:
    make(root)
    assert Opened(root, PLUS).error is None
    make(root, "old")
    assert Opened(root, PLUS).folders == ["INBOX"]


def test_folders_with_a_dot_are_nothing_strange_where_they_lie_in_each_other(root: Path) -> None:
    make(root, ".hidden", "Work")
    opened = Opened(root, FS)
    assert opened.folders == ["INBOX", ".hidden", "Work"]
    assert [line for line in opened.log if "layout" in line] == []
