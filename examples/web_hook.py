"""A listener that posts new mail to a web hook.

    python examples/web_hook.py http://127.0.0.1:8000/hook

takes mail for anybody at example.org by LMTP on port 1024 of loopback, and posts a line of JSON on each message to that
address. Where the hook does not answer, or with an error of its own (5xx), it is tried again, later and later.
"""

import json
import sys
from email import message_from_bytes, policy
from io import BytesIO

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.client import Agent, FileBodyProducer, readBody
from twisted.web.http_headers import Headers
from zope.interface import implementer

from mailpost.api import IMailListener, MailError, MessageArrived, Way, mail_server, memory_store

DELAYS = (1, 4, 15, 60, 240)
"""Seconds before it is tried again; after the last, nobody hears of that message."""
log = Logger()


@implementer(IMailListener)
class WebHook:
    """Posts what is delivered. Whatever the hook does, deliveries do not wait for it."""

    def __init__(self, reactor, address, delays=DELAYS):
        self._reactor = reactor
        self._address = address.encode()
        self._delays = delays
        self._agent = Agent(reactor, connectTimeout=10)

    async def heard(self, event):
        if not isinstance(event, MessageArrived) or event.way is not Way.DELIVERED:
            return
        try:
            message = message_from_bytes(await event.octets(), policy=policy.default)
        except MailError:
            return  # it is gone already
        told = {
            "user": event.user,
            "folder": event.folder,
            "uid": event.uid,
            "subject": str(message["Subject"] or ""),
            "from": str(message["From"] or ""),
        }
        await self._post(json.dumps(told).encode())

    async def _post(self, octets):
        for delay in (*self._delays, None):
            try:
                if await self._posted(octets):
                    return
            except Exception as problem:
                log.warn("the web hook cannot be reached: {problem}", problem=problem)
            if delay is not None:
                await task.deferLater(self._reactor, delay)
        log.error("the web hook has not taken {octets}", octets=octets)

    async def _posted(self, octets):
        """Post it once: whether it need not be tried again."""
        headers = Headers({"Content-Type": ["application/json"]})
        request = self._agent.request(b"POST", self._address, headers, FileBodyProducer(BytesIO(octets)))
        response = await request.addTimeout(30, self._reactor)
        await readBody(response)
        if response.code >= 400:
            log.warn("the web hook answers {code}", code=response.code)
        return response.code < 500


async def main(reactor, address, port=1024, delays=DELAYS):
    """Serve until the program ends."""
    server = mail_server(
        reactor,
        store=memory_store(),
        users={"ann": "secret"},
        domains=["example.org"],
        listen={"lmtp": f"tcp:{port}:interface=127.0.0.1"},
        listeners=[WebHook(reactor, address, delays)],
    )
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    print(f"LMTP on 127.0.0.1:{server.addresses['lmtp'].port}, user ann", flush=True)

    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} ADDRESS")
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
