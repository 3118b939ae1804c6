"""mailpost inside a program: the names that stay.

What is listed here keeps its name, its arguments and its meaning from one minor version to the next; other modules
may change. `docs/embedding.md` shows how the parts go together.

    store = memory_store()
    server = mail_server(
        reactor,
        store=store,
        users={"ann": "secret"},
        listen={"imap": "tcp:1143:interface=127.0.0.1"},
    )
    server.startService()

Everything is an argument: any number of servers can run in one process, each with its own store, users and ports.
Interfaces are `zope.interface` interfaces; except where a method says that it answers at once, it may return its
value, a Deferred or a coroutine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from twisted.cred.checkers import ICredentialsChecker

from mailpost.accounts.account import User, UserNameError
from mailpost.accounts.interfaces import ILoginMechanisms, IScramCredentials, IScramVerifiers, IUserDirectory, Refused
from mailpost.accounts.realm import MailRealm
from mailpost.accounts.stock import StockAccount
from mailpost.delivery.filing import LocalReceiver
from mailpost.delivery.interfaces import IDeliveryFilter, IReceiver, IRecipients, ITransaction
from mailpost.delivery.records import Arrival, Elsewhere, FileInto, LocalUser, Redirect, Verdict
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import FlagChange
from mailpost.mail.transport import Client, ForwardPath, ReversePath
from mailpost.protocols.imap.connection import IMAPFactory, MailpostIMAP4Server
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.factory import intercept
from mailpost.protocols.interception.interceptor import Interceptor
from mailpost.protocols.lmtp.connection import LMTPFactory
from mailpost.protocols.lmtp.settings import LmtpSettings
from mailpost.protocols.pop3.connection import POP3Factory
from mailpost.protocols.pop3.settings import Pop3Settings
from mailpost.protocols.submission.connection import SubmissionFactory
from mailpost.protocols.submission.settings import SubmissionSettings
from mailpost.service.assembly import build
from mailpost.service.config import (
    Config,
    ConfigError,
    Limits,
    Listen,
    Pattern,
    Recipients,
    Server,
    Smarthost,
    Storage,
    Submission,
)
from mailpost.service.parts import Parts
from mailpost.service.server import CannotStartError, MailServer
from mailpost.service.stores import maildir_store, memory_store, memory_users, virtual_store
from mailpost.service.tls import Certificate, CertificateError
from mailpost.storage.changehub import ChangeHub
from mailpost.storage.events import (
    Event,
    FlagsChanged,
    FolderCreated,
    FolderDeleted,
    FolderRenamed,
    LoggedIn,
    LoginFailed,
    MessageArrived,
    MessagesCopied,
    MessagesExpunged,
    Way,
)
from mailpost.storage.interfaces import (
    ICountingAccount,
    IMailAccount,
    IMaildrop,
    IMaildropAccount,
    IMailListener,
    IMailpostMailbox,
    IMailStore,
    ISharedAccount,
    ISpool,
)
from mailpost.storage.live import LiveMailbox
from mailpost.storage.records import (
    Appended,
    Attribute,
    Copied,
    Folder,
    HeaderFields,
    NewMessage,
    QuotaLimit,
    SpecialUse,
    Status,
    Stored,
    Usage,
)
from mailpost.storage.virtual import Item, IVirtualFolder, VirtualFolder
from mailpost.wire.dialogue import Command, Response

__all__ = [
    "Appended",
    "Arrival",
    "Attribute",
    "CannotStartError",
    "Certificate",
    "CertificateError",
    "ChangeHub",
    "Client",
    "Command",
    "Config",
    "ConfigError",
    "Conversation",
    "Copied",
    "Elsewhere",
    "ErrorKind",
    "Event",
    "FileInto",
    "FlagChange",
    "FlagsChanged",
    "Folder",
    "FolderCreated",
    "FolderDeleted",
    "FolderRenamed",
    "ForwardPath",
    "HeaderFields",
    "ICountingAccount",
    "IDeliveryFilter",
    "ILoginMechanisms",
    "IMAPFactory",
    "IMailAccount",
    "IMailListener",
    "IMailStore",
    "IMaildrop",
    "IMaildropAccount",
    "IMailpostMailbox",
    "IReceiver",
    "IRecipients",
    "IScramCredentials",
    "IScramVerifiers",
    "ISharedAccount",
    "ISpool",
    "ITransaction",
    "IUserDirectory",
    "IVirtualFolder",
    "ImapSettings",
    "Interceptor",
    "Item",
    "LMTPFactory",
    "Limits",
    "Listen",
    "LiveMailbox",
    "LmtpSettings",
    "LocalReceiver",
    "LocalUser",
    "LoggedIn",
    "LoginFailed",
    "MailError",
    "MailRealm",
    "MailServer",
    "MailpostIMAP4Server",
    "MessageArrived",
    "MessagesCopied",
    "MessagesExpunged",
    "NewMessage",
    "POP3Factory",
    "Parts",
    "Pattern",
    "Pop3Settings",
    "QuotaLimit",
    "Recipients",
    "Redirect",
    "Refused",
    "Response",
    "ReversePath",
    "Server",
    "Smarthost",
    "SpecialUse",
    "Status",
    "StockAccount",
    "Storage",
    "Stored",
    "Submission",
    "SubmissionFactory",
    "SubmissionSettings",
    "Usage",
    "User",
    "UserNameError",
    "Verdict",
    "VirtualFolder",
    "Way",
    "build",
    "intercept",
    "mail_server",
    "maildir_store",
    "memory_store",
    "memory_users",
    "virtual_store",
]

_ELSEWHERE = Storage(Pattern("/nonexistent/{user}"))
"""What a configuration has to say of a store; it is not looked at where a store is given."""


def mail_server(
    reactor: Any,
    *,
    store: IMailStore,
    listen: Mapping[str, str | Sequence[str]],
    users: Mapping[str, str] | IUserDirectory | None = None,
    checkers: Sequence[ICredentialsChecker] = (),
    domains: Sequence[str] = (),
    recipients: IRecipients | None = None,
    filters: Sequence[IDeliveryFilter] = (),
    listeners: Sequence[IMailListener] = (),
    certificate: Certificate | None = None,
    hostname: str = "localhost",
    limits: Limits | None = None,
    submission: Submission | None = None,
    smarthost: Smarthost | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> MailServer:
    """A server of these parts, not started: a Twisted service, whose `addresses` tell where it listens when it runs.

    Args:
        reactor: the reactor that it will run on.
        store: where the mail is; the server closes it when it stops.
        listen: endpoints, as Twisted describes them, by protocol: imap, imaps, pop3, pop3s, lmtp, submission,
            submissions, web, webs. `tcp:0:interface=127.0.0.1` lets the system choose a port.
        users: who may log in and has mail: names with passwords, or a directory of your own.
        checkers: further ways to log in, asked after the users.
        domains: the domains of the addresses that users have. A user `ann` has ann at each of them.
        recipients: whom addresses mean, if that is not enough.
        filters: asked in this order before a message is delivered.
        listeners: told of what has happened, after the fact.
        certificate: for TLS.
        hostname: what clients are greeted with.
        limits: what one client may ask for.
        submission: what users who send may do.
        smarthost: who takes what users send to others, and where it waits for that.
        interceptors: see, and may change, what is said on all connections; the first is next to the client.

    Raises:
        ConfigError: an endpoint cannot be used, or nobody could log in.
        ValueError: there is no such protocol.
        UserNameError: nobody can have this name.
    """
    names = {field: (each,) if isinstance(each, str) else tuple(each) for field, each in listen.items()}
    for name in names:
        if name not in Listen.__dataclass_fields__:
            near = get_close_matches(name, Listen.__dataclass_fields__, 1)
            raise ValueError(f"no protocol {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    config = Config(
        storage=_ELSEWHERE,
        listen=Listen(**names),
        recipients=Recipients(domains=tuple(domains)),
        server=Server(hostname),
        limits=limits or Limits(),
        submission=submission or Submission(),
        smarthost=smarthost or Smarthost(),
    )
    directory: Any = memory_users(users) if isinstance(users, Mapping) else users
    around = intercept(*interceptors) if interceptors else None
    parts = Parts(store=store, directory=directory, certificate=certificate, around=around)
    return build(config, reactor, checkers, recipients=recipients, filters=filters, listeners=listeners, parts=parts)
