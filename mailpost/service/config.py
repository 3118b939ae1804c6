"""What a server can be told, as values.

Each section of a configuration file is a dataclass here, each key a field (`mailpost.service.configfile` reads them).
Embedders build a `Config` themselves. The text under a field is also what the printed sample says of it
(`mailpost.service.sample`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import gethostname
from typing import Any, Literal, NewType

from mailpost.service.tomllines import Key

VERSION = 1
"""The version of the file's format: a newer one is refused. A file that says none is of the first."""
Size = NewType("Size", int)
"""Octets; in a file also text such as "64K" or "50M"."""
Seconds = NewType("Seconds", int)
"""Whole seconds; in a file also text such as "90s", "30m", "1h" or "5d"."""
Pattern = NewType("Pattern", str)
"""A path with {user}, or {local} and {domain}, in it; absolute once it has been read."""


def _example(value: object) -> dict[str, object]:
    """What the printed sample shows for a field whose default says little."""
    return {"example": value}


@dataclass(frozen=True, slots=True)
class Server:
    """The server as a whole."""

    hostname: str = field(default_factory=gethostname, metadata=_example("mail.example.org"))
    """The name that clients are greeted with. The default is the name of the machine."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where mail is kept."""

    maildir: Pattern = field(metadata=_example("/srv/mail/{user}"))
    """The Maildir of each user, with cur/, new/ and tmp/ directly in it. A tree that is there already, of Dovecot
    or Courier, is served as it is. {user} is the name at login, {local} and {domain} its parts before and behind the
    "@". A relative path begins at this file."""
    layout: Literal["maildir++", "fs"] = "maildir++"
    """How folders below folders lie in the Maildir: "maildir++" is .Work.Reports, all side by side; "fs" is
    Work/Reports, one in the other, Dovecot's LAYOUT=fs. A tree in which all folders lie the other way is not served."""
    separator: str = "/"
    """What stands between the levels of a folder's name, for clients."""
    index: Pattern | None = field(default=None, metadata=_example("/var/lib/mailpost/{user}"))
    """Where the index of each user is kept (two small databases). The default is the Maildir itself."""
    utf8: bool = False
    """Folders of the file system are named in UTF-8, not in the modified UTF-7 of others but Courier 5."""


@dataclass(frozen=True, slots=True)
class Users:
    """Who may log in."""

    file: Path | None = field(default=None, metadata=_example("users"))
    """A file with a line `name:{SCHEME}hash` for each user, as Dovecot's passwd-file has them. `mailpost user add`
    writes it. It is read again when it changes."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """Which addresses are users here, for mail that comes in. The file of [users] says who there is: a user `ann` has
    the address ann at every domain of ours, a user `ann@example.org` that address.
    """

    domains: tuple[str, ...] = field(default=(), metadata=_example(("example.org",)))
    """Domains that are ours. The whole address of a user needs none."""
    bare_names: bool = True
    """A name without a domain is one of ours."""
    aliases: Path | None = field(default=None, metadata=_example("aliases"))
    """A file of lines `name: address, address`, as Postfix and sendmail have them: `name` at any domain of ours,
    `name@domain`, or `@domain` for all that is not named otherwise. It is read again when it changes."""
    detail_separator: str = "+"
    """`ann+work@example.org` goes into ann's folder "work" if there is one. "" turns that off."""
    catch_all: str = field(default="", metadata=_example("ann"))
    """Who gets mail for nobody at a domain of ours: a user or an address. Without it such mail is refused."""
    postmaster: str = field(default="", metadata=_example("ann"))
    """Who gets mail for postmaster, if no user or alias of that name does."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where connections are taken, as Twisted endpoint descriptions."""

    imap: tuple[str, ...] = field(default=(), metadata=_example(("tcp:1143:interface=127.0.0.1",)))
    """IMAP; with STARTTLS where [tls] has a certificate."""
    imaps: tuple[str, ...] = field(default=(), metadata=_example(("tcp:993",)))
    """IMAP inside TLS from the first octet."""
    pop3: tuple[str, ...] = field(default=(), metadata=_example(("tcp:1110:interface=127.0.0.1",)))
    """POP3; with STLS where [tls] has a certificate."""
    pop3s: tuple[str, ...] = field(default=(), metadata=_example(("tcp:995",)))
    """POP3 inside TLS from the first octet."""
    lmtp: tuple[str, ...] = field(default=(), metadata=_example(("tcp:24:interface=127.0.0.1",)))
    """LMTP, by which a mail server such as Postfix hands over what has come for users here. Nobody logs in: keep it on
    this machine, "unix:/run/mailpost/lmtp:mode=660" for example, or in a network of your own."""
    submission: tuple[str, ...] = field(default=(), metadata=_example(("tcp:587",)))
    """Submission: users send mail; with STARTTLS where [tls] has a certificate."""
    submissions: tuple[str, ...] = field(default=(), metadata=_example(("tcp:465",)))
    """Submission inside TLS from the first octet."""
    web: tuple[str, ...] = field(default=(), metadata=_example(("tcp:8025:interface=127.0.0.1",)))
    """A page that shows users their mail, by HTTP; they log in. On this machine only, or behind a proxy on it that
    speaks TLS."""
    webs: tuple[str, ...] = field(default=(), metadata=_example(("tcp:8443",)))
    """The same by HTTPS."""


@dataclass(frozen=True, slots=True)
class Imap:
    """What IMAP clients may do."""

    unauthenticate: bool = True
    """A client may log out and in again, as another user, on one connection (UNAUTHENTICATE). Turn it off behind a
    proxy that keeps users apart by watching the first login only."""


@dataclass(frozen=True, slots=True)
class Lmtp:
    """Mail that other servers hand over."""

    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1", "unix")
    """Addresses and networks that are believed whom they speak for (XCLIENT); "unix" is every program of this machine
    that may open the socket."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Mail that users send, by the listeners submission and submissions."""

    check_sender: bool = True
    """Users send only from addresses that are theirs: mail for such an address comes to that user alone, or the line of
    the users file lists it: `mailpost_senders=sales@example.org,@example.net`."""
    check_from: bool = True
    """The From field of a message names only such addresses."""
    null_sender: bool = False
    """Mail without a sender's address (MAIL FROM:<>) is taken, as programs send it that answer mail."""
    sent_copies: bool = True
    """What a user sends is filed in the folder for sent mail; a copy that the client files itself takes the place of
    ours. A line of the users file can say otherwise for its user: `mailpost_sent_copies=no`."""
    hide_client: bool = False
    """Who gets the message is not told from which address it was sent."""


@dataclass(frozen=True, slots=True)
class Smarthost:
    """The server that takes what users send to others. Without one, mail for others is refused."""

    host: str = field(default="", metadata=_example("smtp.example.net"))
    """Its name, as its certificate has it."""
    port: int = 587
    """587 for submission, 465 with TLS from the first octet, 25 between servers."""
    tls: str = "starttls"
    """"starttls": by STARTTLS, or nothing is sent; "implicit": from the first octet; both with a certificate that is
    verified. "opportunistic": by STARTTLS if it is offered, whatever the certificate is; "none": not at all."""
    ca_file: Path | None = field(default=None, metadata=_example("ca.pem"))
    """Certificates, PEM, by which its certificate is verified. The default is what the system trusts."""
    user: str = field(default="", metadata=_example("example"))
    """Who logs in there. The default is nobody."""
    password_file: Path | None = field(default=None, metadata=_example("smarthost-password"))
    """A file whose first line is the password. It is read for each connection."""
    queue: Path | None = field(default=None, metadata=_example("/var/spool/mailpost"))
    """The folder in which messages wait, made if it is not there. It belongs to the user that the server runs as."""
    retry_after: tuple[Seconds, ...] = tuple(Seconds(60 * each) for each in (1, 5, 15, 30, 60, 120, 240))
    """How long a message waits after each attempt; the last one holds for all further attempts."""
    warn_after: Seconds = Seconds(4 * 60 * 60)
    """The sender is told of a message that is still here after so long."""
    give_up: Seconds = Seconds(5 * 24 * 60 * 60)
    """A message that could not be sent for so long goes back to its sender."""
    connections: int = 4
    """Connections to it at the same time."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption. Both files are read again when they change, or on SIGHUP."""

    certificate: Path | None = field(default=None, metadata=_example("cert.pem"))
    """The certificate with its chain, PEM."""
    key: Path | None = field(default=None, metadata=_example("key.pem"))
    """Its private key, PEM. The default is the file of the certificate."""
    allow_plaintext_auth: bool = False
    """Passwords may be sent without TLS from anywhere. From this machine they always may."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders that a new account is given, subscribed and marked with what they are for; "" for none."""

    drafts: str = "Drafts"
    """What is being written."""
    sent: str = "Sent"
    """What was sent."""
    trash: str = "Trash"
    """What was deleted."""
    junk: str = "Junk"
    """What nobody asked for."""
    archive: str = "Archive"
    """What is done with and kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask for. Sizes are octets, or text such as "64K" or "50M"; times are seconds, or "30m"."""

    line: Size = Size(64 << 10)
    """A command line without its literals."""
    literal: Size = Size(256 << 10)
    """All literals of a command together, messages apart."""
    literal_before_login: Size = Size(4 << 10)
    """The same before login."""
    message: Size = Size(50 << 20)
    """A message."""
    quota: Size | None = field(default=None, metadata=_example("2G"))
    """What all messages of an account may take together. A line of the users file can say otherwise for its user:
    `userdb_quota_rule=*:storage=2G`. The default is no limit."""
    pipelined: Size = Size(64 << 10)
    """Commands that are sent ahead while one runs; more are not read before it is done."""
    connections_per_user: int = 250
    """Connections of one user from one address."""
    connections_per_address: int = 1000
    """Connections from one address."""
    login_timeout: Seconds = Seconds(60)
    """A connection is closed when it has not logged in, and said nothing, for so long."""
    idle_timeout: Seconds = Seconds(30 * 60)
    """A connection is closed when it has logged in, and said nothing, for so long; IMAP wants 30 minutes or more."""
    pop3_idle_timeout: Seconds = Seconds(10 * 60)
    """The same of POP3, which wants 10 minutes or more. Nobody else can fetch by POP3 for so long."""
    smtp_idle_timeout: Seconds = Seconds(5 * 60)
    """The same of LMTP and submission."""
    recipients: int = 1000
    """Recipients of one message that comes in; what is for more is to come again for the rest."""
    over_quota_permanent: bool = False
    """Mail for a full mailbox is refused for good (552); otherwise the other server may try again until there is room
    (452)."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which file a configuration was read from, so that whatever is found wrong later can be placed."""

    path: Path | None = None
    lines: Mapping[Key, int] = field(default_factory=dict)

    def place(self, *key: str) -> str:
        """`file:line: a.b: ` for a key, or as much of it as is known."""
        line = next((self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), None)
        file = "" if self.path is None else f"{self.path}:{line}: " if line else f"{self.path}: "
        return f"{file}{'.'.join(key)}: "


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    storage: Storage
    listen: Listen = field(default_factory=Listen)
    imap: Imap = field(default_factory=Imap)
    lmtp: Lmtp = field(default_factory=Lmtp)
    recipients: Recipients = field(default_factory=Recipients)
    submission: Submission = field(default_factory=Submission)
    smarthost: Smarthost = field(default_factory=Smarthost)
    server: Server = field(default_factory=Server)
    users: Users = field(default_factory=Users)
    tls: Tls = field(default_factory=Tls)
    folders: Folders = field(default_factory=Folders)
    limits: Limits = field(default_factory=Limits)
    source: Source = field(default_factory=Source, compare=False)


SECTIONS: Mapping[str, type[Any]] = {
    "server": Server,
    "storage": Storage,
    "users": Users,
    "recipients": Recipients,
    "listen": Listen,
    "imap": Imap,
    "lmtp": Lmtp,
    "submission": Submission,
    "smarthost": Smarthost,
    "tls": Tls,
    "folders": Folders,
    "limits": Limits,
}


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` are sentences, each with file and line where there is one."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
