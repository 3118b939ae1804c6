"""`twistd -n mailpost --demo`: an account full of varied mail on loopback, without any configuration."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailpost.accounts import passwords
from mailpost.service.config import Config, Listen, Pattern, Server, Storage, Users
from mailpost.service.server import MailServer
from mailpost.storage.interfaces import IMailAccount, IMailStore
from mailpost.storage.offload import settled
from mailpost.storage.records import NewMessage

USER = PASSWORD = "demo"
PORT = 1143
POP3_PORT = 1110
SMTP_PORT = 1025
WEB_PORT = 8025
DEFAULT_FOLDER = "mailpost-demo"
_WELCOME = """
mailpost is ready: see its mail, while it comes, at http://127.0.0.1:{web_port}/

On 127.0.0.1, without encryption: IMAP on port {port}, POP3 on port {pop3_port}, SMTP on port {smtp_port}.
User {user}, password {password}. Mail for any other address is taken too: the address is the user who reads it,
by any password. The mail is in {folder}. To see some of it, paste this into another terminal:

    curl -s --url 'imap://127.0.0.1:{port}/INBOX;MAILINDEX=1' -u {user}:{password}

"""


def demo_config(folder: Path | None, port: int = PORT, pop3_port: int = POP3_PORT) -> Config:
    """The configuration of the demonstration.

    Args:
        folder: where everything is kept, made if it is not there; `mailpost-demo` in the current directory if None.
        port: where IMAP listens, on loopback.
        pop3_port: where POP3 does.
    """
    place = (folder or Path(DEFAULT_FOLDER)).absolute()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = place / "users"
    if not users.exists():
        users.touch(mode=0o600)
        users.write_text(f"{USER}:{passwords.hashed(PASSWORD.encode(), 'PLAIN')}::::::\n")
    return Config(
        storage=Storage(maildir=Pattern(f"{place}/mail/{{user}}")),
        listen=Listen(
            imap=(f"tcp:{port}:interface=127.0.0.1",),
            pop3=(f"tcp:{pop3_port}:interface=127.0.0.1",),
        ),
        server=Server(hostname="localhost"),
        users=Users(file=users),
    )


def demo_server(
    config: Config,
    reactor: Any,
    checkers: Sequence[ICredentialsChecker] = (),
    smtp_port: int = SMTP_PORT,
    web_port: int = WEB_PORT,
) -> MailServer:
    """The demonstration's server: it takes mail for any address, which is the user who reads it, by any password.

    The page shows the mail of all who have had any, now or in an earlier run.
    """
    # What they load installs a reactor.
    from mailpost.service.assembly import build  # noqa: PLC0415
    from mailpost.service.parts import Parts  # noqa: PLC0415
    from mailpost.service.throwaway import AnyPassword, Everybody  # noqa: PLC0415
    from mailpost.service.transcripts import Transcripts  # noqa: PLC0415

    everybody, transcripts = Everybody(), Transcripts()
    everybody.known.update(dict.fromkeys([USER, *_earlier(config)]))
    parts = Parts(
        around=transcripts.around,
        transcripts=transcripts.all,
        open_smtp=(f"tcp:{smtp_port}:interface=127.0.0.1",),
        open_web=(f"tcp:{web_port}:interface=127.0.0.1",),
        everybody=lambda: everybody.known,
    )
    return build(config, reactor, [*checkers, AnyPassword(everybody)], recipients=everybody, parts=parts)


def _earlier(config: Config) -> list[str]:
    """Users whose mail is there from an earlier run."""
    mail = Path(config.storage.maildir).parent
    return sorted(each.name for each in mail.iterdir() if not each.name.startswith(".")) if mail.is_dir() else []


async def fill(store: IMailStore) -> int:
    """Put the mail into a new account; one that has any is left as it is. Answers with the number of messages made."""
    account: IMailAccount = await settled(store.account(USER))
    try:
        if (await settled(account.status("INBOX"))).uidnext > 1:
            return 0
        from mailpost.service.democontent import messages  # noqa: PLC0415 (needed once)

        folders: dict[str, list[NewMessage]] = {}
        for each in messages(int(time.time())):
            folders.setdefault(each.folder, []).append(NewMessage(each.octets, each.flags, each.date))
        for name in sorted(folders, key=lambda name: name == "INBOX"):  # INBOX last: it tells that all is there
            if not any(folder.name == name and folder.selectable for folder in account.folders()):
                await settled(account.create(name))
                await settled(account.subscribe(name, True))
            await settled(account.append(name, folders[name]))
        return sum(map(len, folders.values()))
    finally:
        account.release()


class DemoServer(Service):
    """A server that fills its account before it takes the first connection, and then says where to connect."""

    _log = Logger()

    def __init__(
        self,
        server: MailServer,
        reactor: Any,
        folder: Path,
        *,
        port: int = PORT,
        pop3_port: int = POP3_PORT,
        smtp_port: int = SMTP_PORT,
        web_port: int = WEB_PORT,
    ) -> None:
        self._server = server
        self._reactor = reactor
        self._folder = folder
        self._port = port
        self._pop3_port = pop3_port
        self._smtp_port = smtp_port
        self._web_port = web_port
        self._filling: Deferred[None] | None = None

    def privilegedStartService(self) -> None:
        """Bind the ports."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._server.privilegedStartService()
        self._server.pause()

    def startService(self) -> None:
        """Fill the account, then serve."""
        super().startService()  # type: ignore[no-untyped-call]
        self._server.startService()
        self._filling = Deferred.fromCoroutine(self._fill())

    def stopService(self) -> Deferred[None]:
        """Stop when nothing is being written."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    def reload(self) -> None:
        """As the server does it."""
        self._server.reload()

    async def _fill(self) -> None:
        try:
            await fill(self._server.store)
        except Exception:  # whatever it is: without the account there is nothing to show
            self._log.failure("the demonstration account could not be made")
            self._reactor.callWhenRunning(self._reactor.stop)
            return
        self._server.resume()
        text = _WELCOME.format(
            port=self._port,
            pop3_port=self._pop3_port,
            smtp_port=self._smtp_port,
            web_port=self._web_port,
            user=USER,
            password=PASSWORD,
            folder=self._folder,
        )
        if sys.__stdout__ is not None:
            sys.__stdout__.write(text)
            sys.__stdout__.flush()

    async def _stop(self) -> None:
        if self._filling is not None:
            await self._filling
        await self._server.stopService()
