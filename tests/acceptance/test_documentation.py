"""Pages of the documentation whose code needs other people's clients."""

from __future__ import annotations

from pathlib import Path

from tests.test_documentation import blocks_of, run_as_tests


def test_faults(tmp_path: Path) -> None:
    run_as_tests(tmp_path, "\n\n".join(blocks_of("testing-faults.md")))
