"""A root on the disk, and its INBOX opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailpost.storage.maildir.directories import open_root
from mailpost.storage.maildir.folder import FolderFiles
from mailpost.storage.maildir.layout import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "mail"


@pytest.fixture
def root_fd(root: Path) -> Iterator[int]:
    fd = open_root(root)
    yield fd
    os.close(fd)


@pytest.fixture
def inbox(root_fd: int) -> Iterator[FolderFiles]:
    folder = FolderFiles.open(root_fd, ROOT)
    yield folder
    folder.close()
