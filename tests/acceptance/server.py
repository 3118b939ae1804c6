"""A real mailpost in a process of its own, for real clients."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from types import TracebackType

SCRIPTS = Path(sysconfig.get_path("scripts"))
CONFIG = """\
[server]
hostname = "mail.example.org"
[storage]
maildir = "mail/{{user}}"
[users]
file = "users"
[listen]
imap = ["tcp:{port}:interface=127.0.0.1"]
"""
MAIL = """\
lmtp = ["tcp:{lmtp}:interface=127.0.0.1"]
submission = ["tcp:{submission}:interface=127.0.0.1"]
[recipients]
domains = ["example.org"]
[smarthost]
host = "127.0.0.1"
port = 1
tls = "none"
queue = "{queue}"
"""
"""More of it: mail comes in, and what is for others waits in the queue, since there is no smarthost."""


def free_port() -> int:
    """A port on loopback that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def mailpost(*arguments: str, stdin: str = "", before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the `mailpost` command; `before` stands before it, ending in a program that runs the rest."""
    return subprocess.run(
        [*before, sys.executable, "-m", "mailpost.admin.main", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class Twistd:
    """`twistd -n mailpost ...` until the end of the `with` block; its output goes to a file."""

    def __init__(self, folder: Path, *arguments: str, port: int, before: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.before = before
        """What stands before the command: `nice` and the like, ending in a program that runs the rest."""
        self.port = port
        self.arguments = arguments
        self.log = folder / "twistd.out"
        self.ready_after = 0.0

    def __enter__(self) -> Twistd:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        begun = time.monotonic()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*self.before, SCRIPTS / "twistd", "-n", "--pidfile=", "mailpost", *self.arguments],
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        while time.monotonic() < begun + 20:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    if probe.recv(4).startswith(b"* OK"):
                        self.ready_after = time.monotonic() - begun
                        return
            except OSError:
                time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"the server did not come up:\n{self.log.read_text()}")

    def said(self) -> str:
        """Its log, once it has come to rest: a thread writes it, some hundredths of a second later."""
        text, until = self.log.read_text(), time.monotonic() + 5
        while time.monotonic() < until:
            time.sleep(0.2)
            before, text = text, self.log.read_text()
            if text == before:
                break
        return text

    def stop(self) -> None:
        """Ask it to end, and wait for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise

    def kill(self) -> None:
        """End it at once, as a power cut would end it."""
        self.process.kill()
        self.process.wait()


def configured(folder: Path, users: tuple[str, ...] = ("ann",), extra: str = "") -> Twistd:
    """A server with a configuration file and these users (password: "pass"); not started yet."""
    port = free_port()
    config = folder / "mailpost.toml"
    config.write_text(CONFIG.format(port=port) + extra)
    for user in users:
        done = mailpost("user", "add", user, "--config", str(config), "--password-stdin", stdin="pass\n")
        assert done.returncode == 0, done.stderr
    return Twistd(folder, "--config", str(config), port=port)
