"""For the tests of others: a mail server in the test's own process, and the contract suite for stores.

`docs/testing.md` shows what to do with it. With pytest nothing needs to be imported: the fixture is `mailpost`.

The names are loaded when they are used: pytest imports this package at its start, for the plugin.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailpost.faults.fault import Fault, FaultError
    from mailpost.faults.injector import Faults
    from mailpost.testing.cases import AsyncMailpostMixin, MailpostMixin
    from mailpost.testing.criteria import CriteriaError
    from mailpost.testing.factory import messages
    from mailpost.testing.folders import AsyncFolder, AsyncUser, Folder, User
    from mailpost.testing.mail import Attachment, Mail
    from mailpost.testing.mailbox import Cursor
    from mailpost.testing.reports import NoMailError
    from mailpost.testing.server import AsyncMailServer, MailServer

__all__ = [
    "AsyncFolder",
    "AsyncMailServer",
    "AsyncMailpostMixin",
    "AsyncUser",
    "Attachment",
    "CriteriaError",
    "Cursor",
    "Fault",
    "FaultError",
    "Faults",
    "Folder",
    "Mail",
    "MailServer",
    "MailpostMixin",
    "NoMailError",
    "User",
    "messages",
]

_PLACES = {
    "testing.cases": ("AsyncMailpostMixin", "MailpostMixin"),
    "testing.criteria": ("CriteriaError",),
    "testing.folders": ("AsyncFolder", "AsyncUser", "Folder", "User"),
    "testing.mail": ("Attachment", "Mail"),
    "testing.mailbox": ("Cursor",),
    "testing.factory": ("messages",),
    "faults.fault": ("Fault", "FaultError"),
    "faults.injector": ("Faults",),
    "testing.reports": ("NoMailError",),
    "testing.server": ("AsyncMailServer", "MailServer"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"mailpost.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
