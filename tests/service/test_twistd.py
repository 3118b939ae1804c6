from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from twisted.application.service import IServiceMaker
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import TestCase

from mailpost.service import demo
from mailpost.service.assembly import build
from mailpost.service.demo import DemoServer, demo_config, demo_server
from mailpost.service.sample import sample
from mailpost.service.twistd import Options

TWISTD = Path(sysconfig.get_path("scripts")) / "twistd"
CONFIG = """
[storage]
maildir = "mail/{user}"
[users]
file = "users"
[listen]
imap = ["tcp:%d:interface=127.0.0.1"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "users").write_text("ann:{PLAIN}secret\nrubbish/:x\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    path = tmp_path / "mailpost.toml"
    path.write_text(CONFIG % port)
    return path


def parsed(*words: str) -> Options:
    options = Options()
    options.parseOptions(words)
    return options


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and output of options that end the process."""
    with pytest.raises(SystemExit) as caught:
        parsed(*words)
    code = caught.value.code
    assert isinstance(code, int)
    return code, capsys.readouterr().out


def test_twistd_knows_it() -> None:
    assert [each.module for each in getPlugins(IServiceMaker) if each.tapname == "mailpost"] == [
        "mailpost.service.twistd"
    ]


def test_the_sample_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "--sample") == (0, sample())


def test_a_good_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = ended(capsys, "--config", str(config), "--check")
    assert code == 0
    assert out.startswith("imap: tcp:")
    assert f"warning: {config.parent}/users: line 2: " in out
    assert os.listdir(config.parent / ".") and not (config.parent / "mail").exists()


def test_options_that_do_not_go_together(config: Path) -> None:
    for words in (
        (),
        ("--config", str(config), "--demo"),
        ("--config", str(config), "--data", "x"),
        ("--demo", "--check"),
        ("--auth", "nonsense:"),
        ("--nope",),
    ):
        with pytest.raises(UsageError):
            parsed(*words)


def test_further_checkers(config: Path) -> None:
    options = parsed("--config", str(config), "--auth", "memory:bob:word")
    assert len(options.checkers) == 1
    assert options.configuration.source.path == config


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [TWISTD, "-n", "--pidfile=twistd.pid", "mailpost", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=False)


def test_a_bad_configuration_is_told_on_the_terminal(config: Path) -> None:
    config.write_text(config.read_text().replace("[users]", "[usres]"))
    for more in (["--check"], []):
        done = run(config.parent, "--config", str(config), *more)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == f'{config}:4: usres: unknown section; did you mean "users"?\n'


def test_a_port_that_is_taken_is_one_line(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text(CONFIG % taken.getsockname()[1])
        done = run(config.parent, "--config", str(config))
    assert done.returncode == 1
    assert done.stderr.startswith("cannot listen (Address already in use) on tcp:")
    assert done.stderr.count("\n") == 1
    assert not (config.parent / "twistd.pid").exists()


def test_a_port_that_is_taken_is_one_line_in_the_log_of_a_daemon(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text(CONFIG % taken.getsockname()[1])
        command = [TWISTD, "--pidfile=twistd.pid", "--logfile=log", "mailpost", "--config", str(config)]
        done = subprocess.run(command, cwd=config.parent, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("An error has occurred: b'cannot listen (Address already in use) on tcp:")
    log = (config.parent / "log").read_text()
    assert "Traceback" not in log
    assert log.count("cannot listen (Address already in use) on tcp:") == 1
    assert not (config.parent / "twistd.pid").exists()


def test_a_hangup_does_not_end_it(config: Path) -> None:
    port = int(config.read_text().rpartition("tcp:")[2].partition(":")[0])
    log = config.parent / "log"
    with log.open("wb") as out:
        command = [TWISTD, "-n", "--pidfile=", "mailpost", "--config", config]
        process = subprocess.Popen(command, cwd=config.parent, stdout=out, stderr=out)
    try:
        _until(lambda: _answers(port))
        process.send_signal(signal.SIGHUP)
        _until(lambda: "reading again" in log.read_text())
        assert _answers(port)
        process.terminate()
        process.wait(10)
    finally:
        process.kill()
        process.wait()
    assert "Server Shut Down" in log.read_text()
    assert "Traceback" not in log.read_text()


def _until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            return connection.recv(4) == b"* OK"
    except ConnectionError:
        return False


class DemoTests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()

    async def start(self, folder: Path) -> tuple[DemoServer, Any]:
        server = demo_server(demo_config(folder, port=0, pop3_port=0), reactor, smtp_port=0, web_port=0)
        shown = DemoServer(server, reactor, folder, port=0, pop3_port=0, smtp_port=0, web_port=0)
        shown.privilegedStartService()
        shown.startService()
        return shown, server

    async def count(self, server: Any) -> int:
        account = await server.store.account(demo.USER)
        try:
            return int((await account.status("INBOX")).messages)
        finally:
            account.release()

    async def ready(self, said: list[str]) -> None:
        for _ in range(500):
            if said:
                return
            waiting: Deferred[None] = deferLater(reactor, 0.01)  # type: ignore[arg-type]
            await waiting
        self.fail("it never was ready")

    async def test_it_says_where_to_connect_and_keeps_its_mail(self) -> None:
        folder = self.folder
        said: list[str] = []
        self.patch(demo.sys, "__stdout__", _Terminal(said))
        counts = []
        for _ in range(2):
            said.clear()
            shown, server = await self.start(folder)
            await self.ready(said)
            shown.reload()
            counts.append(await self.count(server))
            await shown.stopService()
        self.assertGreater(counts[0], 10)
        self.assertEqual(counts[0], counts[1])
        self.assertIn("curl -s --url 'imap://127.0.0.1:", "".join(said))
        self.assertIn(str(folder), "".join(said))
        self.assertEqual((folder / "users").stat().st_mode & 0o777, 0o600)
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)

    async def test_it_takes_mail_for_anybody(self) -> None:
        said: list[str] = []
        self.patch(demo.sys, "__stdout__", _Terminal(said))
        shown, server = await self.start(self.folder)
        await self.ready(said)
        ports = {name: address.port for name, address in server.addresses.items()}

        def send_and_read() -> Any:
            with smtplib.SMTP("127.0.0.1", ports["smtp"], timeout=20) as sender:
                sender.sendmail("bob@example.org", ["Ann@example.org"], b"Subject: hello\r\n\r\nHello!\r\n")
            with imaplib.IMAP4("127.0.0.1", ports["imap"], timeout=20) as client:
                client.login("ann@example.org", "any")
                return client.select()

        self.assertEqual(await deferToThread(send_and_read), ("OK", [b"1"]))
        self.assertIn("by any password", "".join(said))
        self.assertIn("http://127.0.0.1:0/", "".join(said))
        self.assertIn(b'"hello"', await deferToThread(self.listed, server, "ann@example.org"))
        await shown.stopService()
        said.clear()
        shown, server = await self.start(self.folder)
        await self.ready(said)
        for user in (demo.USER, "ann@example.org"):  # from the run before
            self.assertIn(b'"subject":', await deferToThread(self.listed, server, user))
        await shown.stopService()

    def listed(self, server: Any, user: str) -> bytes:
        """A user's mail, as the page has it."""
        url = f"http://127.0.0.1:{server.addresses['web'].port}/api/messages?user={user}&count=9"
        with urlopen(url, timeout=20) as answer:
            return bytes(answer.read())

    async def test_it_ends_when_the_account_cannot_be_made(self) -> None:
        (self.folder / "mail").mkdir(parents=True)
        (self.folder / "mail" / "demo").write_text("in the way")
        stopped: Deferred[None] = Deferred()
        server = build(demo_config(self.folder, port=0, pop3_port=0), reactor)
        shown = DemoServer(server, _Reactor(stopped), self.folder, port=0, pop3_port=0)
        shown.privilegedStartService()
        shown.startService()
        await stopped
        await shown.stopService()
        self.assertEqual(server.ports, [])
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class _Reactor:
    """As much of a reactor as is asked to stop."""

    def __init__(self, stopped: Deferred[None]) -> None:
        self._stopped = stopped

    def callWhenRunning(self, function: Callable[[], None]) -> None:
        function()

    def stop(self) -> None:
        self._stopped.callback(None)


class _Terminal:
    def __init__(self, said: list[str]) -> None:
        self._said = said

    def write(self, text: str) -> None:
        self._said.append(text)

    def flush(self) -> None:
        pass
