"""Debian's Dovecot on a free port of loopback, over the Maildirs of a mailpost that runs as the same mail user."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests.acceptance.server import free_port

MAIL_USER = "mail"
"""Who owns the mail: no server of mail lets root have any."""
AS_MAIL_USER = (
    *("setpriv", f"--reuid={MAIL_USER}", f"--regid={MAIL_USER}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),  # Python may be where only root can read
)
_CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = {protocols}
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {user}
mail_gid = {user}
mail_location = maildir:{mail}/%u{layout}
{passdb}
userdb {{
  driver = static
  args = uid={user} gid={user} home={folder}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""
_POP3 = """\
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""
_ANYBODY = """\
passdb {
  driver = static
  args = password=pass
}"""
_LISTED = """\
auth_debug = yes
passdb {{
  driver = passwd-file
  args = {users}
}}
service auth {{
  user = root
}}"""


def missing() -> str:
    """Why Dovecot cannot be run here; "" where it can."""
    lacking = [
        name for name in ("dovecot", "setpriv") if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None
    ]
    if lacking:
        return f"{' and '.join(lacking)} is not installed"
    return "" if os.geteuid() == 0 else "only root can start Dovecot"


HAS_POP3 = Path("/usr/lib/dovecot/pop3").exists()
"""Whether the package dovecot-pop3d is there."""


class Dovecot:
    """Running from `start` to the end of the `with` block; any user, password "pass", or those of a file.

    Args:
        folder: its own files.
        mail: the Maildirs, one directory a user.
        layout: of the tree, such as ":LAYOUT=fs".
        users: a users file; its logins are told in detail in the log.
    """

    def __init__(self, folder: Path, mail: Path, layout: str = "", users: Path | None = None) -> None:
        self.port = free_port()
        self.pop3_port = free_port()
        self.folder = folder
        self._config = folder / "dovecot.conf"
        for name in ("run", "home"):
            (folder / name).mkdir(parents=True)
        shutil.chown(folder / "home", MAIL_USER, MAIL_USER)
        passdb = _ANYBODY if users is None else _LISTED.format(users=users)
        self._config.write_text(
            (_CONFIG + _POP3 if HAS_POP3 else _CONFIG).format(
                folder=folder,
                mail=mail,
                port=self.port,
                pop3_port=self.pop3_port,
                protocols="imap pop3" if HAS_POP3 else "imap",
                user=MAIL_USER,
                layout=layout,
                passdb=passdb,
            )
        )

    def __enter__(self) -> Dovecot:
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                ["dovecot", "-F", "-c", self._config],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
            )
        until = time.monotonic() + 20
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                    if probe.recv(4).startswith(b"* OK"):
                        return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise AssertionError(f"Dovecot did not come up:\n{(self.folder / 'out').read_text()}\n{self.log}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and all its processes."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)

    def try_login(self, user: str, password: str) -> str:
        """What `doveadm auth test` says."""
        done = subprocess.run(
            ["doveadm", "-c", self._config, "auth", "test", user, password],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout + done.stderr

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""
