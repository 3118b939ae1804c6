"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase


@pytest.fixture(scope="session", autouse=True)
def _trial_temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trial's `mktemp` would make its folders where the tests are started; put them with pytest's own."""
    place = tmp_path_factory.mktemp("trial")
    numbers = iter(range(1_000_000))

    def mktemp(case: object) -> str:
        folder = Path(place, str(next(numbers)))
        folder.mkdir()
        return str(folder / "temp")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SynchronousTestCase, "mktemp", mktemp)
        yield
