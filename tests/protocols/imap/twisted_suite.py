"""Runs Twisted's own tests of `imap4.IMAP4Server` on our class; writes as JSON which failed, and how many ran.

To be run in a process of its own: it replaces the class in Twisted's module before the tests are loaded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.mail import imap4
from twisted.trial.reporter import Reporter
from twisted.trial.runner import TestLoader, TrialRunner

from mailpost.protocols.imap.connection import MailpostIMAP4Server


def main() -> None:
    """Run them."""
    imap4.IMAP4Server = MailpostIMAP4Server  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "report").open("w") as stream:
        runner = TrialRunner(Reporter, workingDirectory=str(Path(folder) / "trial"), stream=stream)
        result: Any = runner.run(TestLoader().loadByName("twisted.mail.test.test_imap"))
    failed = {test.id().removeprefix("twisted.mail.test.test_imap.") for test, _ in result.failures + result.errors}
    json.dump({"ran": result.testsRun, "failed": sorted(failed)}, sys.stdout)


if __name__ == "__main__":
    main()
