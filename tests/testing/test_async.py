"""The awaited form: in trial, in asyncio, in asyncio with Twisted's reactor on its loop; and classes of unittest."""

from __future__ import annotations

import asyncio
import smtplib
import subprocess
import sys
import unittest
from email.message import EmailMessage

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

import mailpost.testing
from mailpost.testing import AsyncMailpostMixin, AsyncMailServer, MailpostMixin, MailServer, NoMailError
from mailpost.testing.reactorthread import reactor_thread
from mailpost.testing.server import _Server


def send(server: _Server, subject: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "bob@example.org", "ann@example.org", subject
    message.set_content("Your code: 123456\n")
    with smtplib.SMTP(*server.smtp.address, timeout=10) as client:
        client.send_message(message)


class TestInTrial(AsyncMailpostMixin, TestCase):
    async def test_a_mail(self) -> None:
        inbox = self.mailpost.user("ann@example.org").inbox
        await deferToThread(send, self.mailpost, "Welcome")
        mail = await inbox.wait(subject="Welcome")
        assert mail.code == "123456"
        await inbox.add_flags(mail, "\\Seen")
        await inbox.fill(10)
        assert len(await inbox.mails()) == 11
        assert await inbox.clear(subject="Welcome") == 1
        with pytest.raises(NoMailError):
            await inbox.wait(timeout=0.01)

    async def test_two_servers(self) -> None:
        other = self.new_mailpost(hostname="other.test")
        await deferToThread(send, other, "to the other")
        assert await self.mailpost.user("ann@example.org").inbox.mails() == []
        assert len(await other.user("ann@example.org").inbox.mails()) == 1
        await other.advance(10)

    async def test_a_wait_is_given_up(self) -> None:
        waiting = Deferred.fromCoroutine(self.mailpost.user("ann@example.org").inbox.wait(timeout=60))
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting

    async def test_a_blocking_server_would_block_the_reactor(self) -> None:
        await deferToThread(lambda: None)
        with pytest.raises(RuntimeError, match="AsyncMailServer"):
            MailServer().start()


class TestInAsyncio(AsyncMailpostMixin, unittest.IsolatedAsyncioTestCase):
    async def test_a_mail(self) -> None:
        inbox = self.mailpost.user("ann@example.org").inbox
        waiting = asyncio.create_task(inbox.wait(subject="Welcome"))
        await asyncio.to_thread(send, self.mailpost, "Welcome")
        assert (await waiting).code == "123456"

    async def test_a_wait_is_given_up(self) -> None:
        inbox = self.mailpost.user("ann@example.org").inbox
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(inbox.wait(timeout=60), 0.05)
        await asyncio.to_thread(send, self.mailpost, "Welcome")
        assert (await inbox.wait()).subject == "Welcome"


class TestOfUnittest(MailpostMixin, unittest.TestCase):
    mailpost_settings = {"hostname": "unit.test"}

    def test_a_mail(self) -> None:
        send(self.mailpost, "Welcome")
        mail = self.mailpost.user("ann@example.org").inbox.wait(subject="Welcome")
        assert "by unit.test" in mail["Received"]
        assert self.new_mailpost().user("ann@example.org").inbox.mails() == []


def test_an_asyncio_test_with_a_fixture(async_mailpost: AsyncMailServer) -> None:
    async def test() -> None:
        inbox = async_mailpost.user("ann@example.org").inbox
        cursor = await inbox.cursor()
        await asyncio.to_thread(send, async_mailpost, "Welcome")
        assert (await inbox.wait(after=cursor)).subject == "Welcome"

    asyncio.run(test())


def test_the_reactor_is_in_a_thread_already(mailpost: MailServer) -> None:
    with pytest.raises(RuntimeError, match="another thread"):
        AsyncMailServer().start()
    assert mailpost.user("ann@example.org").inbox.mails() == []


def test_the_reactor_rests_when_nobody_needs_it(mailpost: MailServer) -> None:
    thread = reactor_thread()
    assert thread.reactor.running
    mailpost.stop()
    assert not thread.reactor.running


ASYNCIO_REACTOR = """
import asyncio, threading
from twisted.internet import asyncioreactor

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
asyncioreactor.install(loop)
from twisted.internet import reactor
from mailpost.testing import AsyncMailServer

async def main():
    async with AsyncMailServer() as mailpost:
        reader, writer = await asyncio.open_connection(*mailpost.smtp.address)
        writer.write(b"HELO me\\r\\nMAIL FROM:<>\\r\\nRCPT TO:<ann@example.org>\\r\\nDATA\\r\\n")
        for _ in range(5):
            await reader.readline()
        writer.write(b"Subject: hello\\r\\n\\r\\nHello!\\r\\n.\\r\\nQUIT\\r\\n")
        mail = await mailpost.user("ann@example.org").inbox.wait(subject="hello")
        names = [thread.name for thread in threading.enumerate()]
        print(mail.subject, "mailpost-reactor" in names)
        writer.close()
    loop.stop()

reactor.startRunning(installSignalHandlers=False)
task = loop.create_task(main())
loop.run_forever()
task.result()
"""


STOPPED_REACTOR = """
from twisted.internet import reactor
from mailpost.testing import MailServer

reactor.callLater(0, reactor.stop)
reactor.run()
try:
    MailServer().start()
except RuntimeError as problem:
    print(problem, type(problem.__cause__).__name__)
"""


def test_a_reactor_that_was_stopped_is_told_of() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_REACTOR], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("the reactor cannot be started ReactorNotRestartable\n", "")


def test_twisteds_reactor_on_the_loop_of_asyncio() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASYNCIO_REACTOR], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("hello False\n", "")


def test_importing_the_package_loads_nothing_of_twisted() -> None:
    program = (
        "import sys, mailpost.testing as t; print('twisted' in sys.modules); print([getattr(t, n) for n in t.__all__])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    first, _, names = done.stdout.partition("\n")
    assert first == "False"
    assert "MailServer" in names
    with pytest.raises(AttributeError, match="nothing"):
        _ = mailpost.testing.nothing
