"""For the tests of others: a mail server in the test's own process, and the contract suite for stores.

`docs/testing.md` shows what to do with it. With pytest nothing needs to be imported: the fixture is `mailpost`.
"""

from __future__ import annotations

from mailpost.testing.cases import AsyncMailpostMixin, MailpostMixin
from mailpost.testing.criteria import CriteriaError
from mailpost.testing.folders import AsyncFolder, AsyncUser, Folder, User
from mailpost.testing.mail import Attachment, Mail
from mailpost.testing.mailbox import Cursor
from mailpost.testing.messages import messages
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
    "Folder",
    "Mail",
    "MailServer",
    "MailpostMixin",
    "NoMailError",
    "User",
    "messages",
]
