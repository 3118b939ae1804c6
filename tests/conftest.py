"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from twisted.trial.unittest import SynchronousTestCase

# How long one example takes says nothing on a machine that does other work too; times are measured elsewhere.
settings.register_profile("mailpost", deadline=None)
settings.load_profile("mailpost")


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
