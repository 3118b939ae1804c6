"""A program with mail inside: an IMAP server over a store in memory, built from plain values.

Run it, and read the mail with any client, or with

    curl --user ann:secret 'imap://127.0.0.1:1143/INBOX;MAILINDEX=1'
"""

from email.message import EmailMessage

from twisted.internet import task
from twisted.internet.defer import Deferred

from mailpost.api import NewMessage, mail_server, memory_store


def welcome() -> bytes:
    """A message, with CRLF line ends."""
    message = EmailMessage()
    message["From"] = "The program <program@example.org>"
    message["To"] = "ann@example.org"
    message["Subject"] = "Welcome"
    message.set_content("This mailbox lives in the memory of a program.\n")
    return message.as_bytes().replace(b"\n", b"\r\n")


async def main(reactor, port=1143):
    """Serve until the program ends."""
    store = memory_store()
    store.account("ann").append("INBOX", [NewMessage(welcome())])

    server = mail_server(
        reactor,
        store=store,
        users={"ann": "secret"},
        listen={"imap": f"tcp:{port}:interface=127.0.0.1"},
    )
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    print(f"IMAP on 127.0.0.1:{server.addresses['imap'].port}, user ann, password secret", flush=True)

    await Deferred()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
