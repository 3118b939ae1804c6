"""The code of the documentation for tests runs: each page is one test module, in a pytest of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["testing.md", "testing-migrating.md"])
def test_a_page(page: str, tmp_path: Path) -> None:
    blocks = _BLOCK.findall((DOCS / page).read_text())
    text = "\n\n".join(blocks)
    (tmp_path / "test_page.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    tests = [line for line in text.splitlines() if re.match(r"( {4})?(async )?def test_", line)]
    assert len(tests) >= 3
    assert f"{len(tests)} passed" in done.stdout
