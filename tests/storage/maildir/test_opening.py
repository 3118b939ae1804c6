"""An account that cannot be opened wholly leaves nothing open."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import opening
from mailpost.storage.maildir.layout import MaildirPlusPlus


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not say which files are open")
@pytest.mark.parametrize("part", ["Ballast", "Generation", "CacheFile"])
def test_what_was_open_already_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(opening, part, fails)
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(MailError) as caught:
        opening.open_files(tmp_path / "ann", None, MaildirPlusPlus())
    assert caught.value.kind is ErrorKind.NO_PERMISSION
    assert sorted(os.listdir("/proc/self/fd")) == before
