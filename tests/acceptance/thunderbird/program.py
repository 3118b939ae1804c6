"""Thunderbird on a screen of its own, told what to do over Marionette: its remote control, JSON over TCP."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

PREFERENCES = {
    # An account of ann on loopback, without encryption.
    "mail.accountmanager.accounts": "account1",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.identity.id1.fullName": "Ann Example",
    "mail.identity.id1.useremail": "ann@example.org",
    "mail.identity.id1.valid": True,
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": "127.0.0.1",
    "mail.server.server1.userName": "ann",
    "mail.server.server1.name": "ann",
    "mail.server.server1.socketType": 0,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    # Nothing but the account: no questions at the start, no calls to anybody else.
    "app.update.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mailnews.default_view_flags": 0,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "browser.safebrowsing.enabled": False,
    "marionette.port": 0,
}
"""Of a profile; the port of the mail server is missing."""


def missing() -> str:
    """Why Thunderbird cannot be run here; "" where it can."""
    lacking = [name for name in ("thunderbird", "Xvfb") if shutil.which(name) is None]
    return f"{' and '.join(lacking)} is not installed" if lacking else ""


class Thunderbird:
    """With a profile of its own, until the end of the `with` block.

    Args:
        folder: its profile, and what it and its screen write.
        port: where the IMAP server of ann listens on loopback.
    """

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.log = folder / "out"
        self._numbers = iter(range(1, 1_000_000))
        self._profile = folder / "profile"
        self._profile.mkdir()
        preferences = {**PREFERENCES, "mail.server.server1.port": port}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()]
        (self._profile / "user.js").write_text("".join(lines))

    def __enter__(self) -> Thunderbird:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _start(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        reading, writing = os.pipe()
        screen = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
        with self.log.open("ab") as out:
            self._processes.append(subprocess.Popen(screen, stdout=out, stderr=out, pass_fds=[writing]))
            os.close(writing)
            with os.fdopen(reading) as told:
                display = told.readline().strip()
            environment = {
                "HOME": str(self.folder),
                "DISPLAY": f":{display}",
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
            }
            program = ["thunderbird", "--marionette", "--remote-allow-system-access", "--no-remote"]
            self._processes.append(
                subprocess.Popen(
                    [*program, "--profile", self._profile],
                    stdout=out,
                    stderr=out,
                    stdin=subprocess.DEVNULL,
                    env=environment,
                    start_new_session=True,
                )
            )
        place = self._profile / "MarionetteActivePort"
        wait(lambda: place.exists() and place.read_text().strip() != "", 90)
        self._socket = socket.create_connection(("127.0.0.1", int(place.read_text())), timeout=120)
        self._file = self._socket.makefile("rb")
        self._message()
        self.command("WebDriver:NewSession")
        self.command("Marionette:SetContext", value="chrome")
        self.command("WebDriver:SetTimeouts", script=110_000)

    def stop(self) -> None:
        """End it and its screen."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if hasattr(self, "_socket"):
            self._file.close()
            self._socket.close()

    def _message(self) -> Any:
        """The next message: its length in decimal, a colon, JSON."""
        length = b""
        while (octet := self._file.read(1)) != b":":
            assert octet.isdigit(), length + octet
            length += octet
        return json.loads(self._file.read(int(length)))

    def command(self, name: str, **parameters: object) -> Any:
        """The result of a command of Marionette."""
        number = next(self._numbers)
        octets = json.dumps([0, number, name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(octets), octets))
        kind, answered, error, result = self._message()
        assert (kind, answered) == (1, number)
        assert error is None, error
        return result

    def run(self, script: str, *arguments: object) -> Any:
        """What the body of an asynchronous function returns, run with the rights of the program itself."""
        called = f"const done = arguments[arguments.length - 1]; const given = arguments; {_WRAPPED % script}"
        told = self.command("WebDriver:ExecuteAsyncScript", script=called, args=list(arguments), sandbox="system")
        assert "failed" not in told["value"], told["value"]["failed"]
        return told["value"]["result"]

    def screenshot(self, place: Path) -> None:
        """Write what its window shows as PNG."""
        place.write_bytes(base64.b64decode(self.command("WebDriver:TakeScreenshot", full=False)["value"]))


_WRAPPED = """
(async () => { %s })().then(
  result => done({result: result === undefined ? null : result}), error => done({failed: `${error} ${error.stack}`})
);
"""


def wait(condition: Any, seconds: float = 30) -> None:
    """Until it is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.1)
