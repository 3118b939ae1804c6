"""A twisted.web program with mail inside: its users have mailboxes, and its page says what is unread.

    python examples/web_program.py

serves the page on port 8080 and the mail by IMAP on port 1143 of loopback, in one process with one reactor. The users
are those of the program's own table, which has their passwords as bcrypt made them: ann, password "secret".
"""

from email.message import EmailMessage

import bcrypt
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.web.guard import BasicCredentialFactory, HTTPAuthSessionWrapper
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from mailpost.api import IUserDirectory, NewMessage, User, mail_server, memory_store

# ------------------------------------------------------------------------------ the program, as it was before


class Table:
    """The users of the program."""

    def __init__(self):
        self.hashes = {}

    def add(self, name, password):
        self.hashes[name] = bcrypt.hashpw(password.encode(), bcrypt.gensalt(6)).decode()


@implementer(ICredentialsChecker)
class WebLogin:
    """Lets the users of the table see pages."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, table):
        self._table = table

    async def _check(self, credentials):
        stored = self._table.hashes.get(credentials.username.decode())
        if stored and await deferToThread(bcrypt.checkpw, credentials.password, stored.encode()):
            return credentials.username
        raise UnauthorizedLogin

    def requestAvatarId(self, credentials):
        return Deferred.fromCoroutine(self._check(credentials))


@implementer(IRealm)
class Pages:
    """Every user has a page."""

    def __init__(self, store):
        self._store = store

    def requestAvatar(self, name, mind, *interfaces):
        return IResource, Page(name.decode(), self._store), lambda: None


# ------------------------------------------------------------------------------------------------ with mail


@implementer(IUserDirectory)
class MailUsers:
    """The table, as the mail server asks it."""

    def __init__(self, table):
        self._table = table
        self._nobody = bcrypt.hashpw(b"that nobody knows", bcrypt.gensalt(6)).decode()

    def find(self, name):
        stored = self._table.hashes.get(name)
        return User(name, "{BLF-CRYPT}" + stored) if stored else None

    def decoy(self, name):
        return User(name, "{BLF-CRYPT}" + self._nobody)

    def mechanisms(self):
        return frozenset({"PLAIN", "LOGIN"})


class Page(Resource):
    """Says how much is unread; a POST sends the user a message."""

    isLeaf = True

    def __init__(self, user, store):
        super().__init__()
        self._user = user
        self._store = store

    def render_GET(self, request):
        return self._later(request, self._unread())

    def render_POST(self, request):
        return self._later(request, self._greet())

    def _later(self, request, answer):
        def write(text):
            request.setHeader("Content-Type", "text/html; charset=utf-8")
            request.write(f"<!doctype html><title>Mail</title><p>{text}".encode())
            request.finish()

        Deferred.fromCoroutine(answer).addCallbacks(write, request.processingFailed)
        return NOT_DONE_YET

    async def _unread(self):
        status = self._store.account(self._user).status("INBOX")  # a store in memory answers at once
        return f"{self._user}, you have {status.unseen} unread messages."

    async def _greet(self):
        message = EmailMessage()
        message["From"] = "The program <program@example.org>"
        message["To"] = f"{self._user}@example.org"
        message["Subject"] = "You have pressed the button"
        message.set_content("Thank you.\n")
        octets = message.as_bytes().replace(b"\n", b"\r\n")
        self._store.account(self._user).append("INBOX", [NewMessage(octets)])
        return "It is in your INBOX."


async def main(reactor, port=1143, web=8080):
    """Serve until the program ends."""
    table = Table()
    table.add("ann", "secret")
    store = memory_store()

    portal = Portal(Pages(store), [WebLogin(table)])
    site = Site(HTTPAuthSessionWrapper(portal, [BasicCredentialFactory("example")]))
    listening = reactor.listenTCP(web if port else 0, site, interface="127.0.0.1")

    server = mail_server(
        reactor, store=store, users=MailUsers(table), listen={"imap": f"tcp:{port}:interface=127.0.0.1"}
    )
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    imap = server.addresses["imap"].port
    print(f"IMAP on 127.0.0.1:{imap}, HTTP on 127.0.0.1:{listening.getHost().port}, user ann", flush=True)

    await Deferred()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
