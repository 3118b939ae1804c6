"""Debian's Postfix on a free port of loopback, with a queue of its own, delivering as examples/postfix has it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.acceptance.server import free_port

EXAMPLES = Path(__file__).parents[2] / "examples" / "postfix"
_SBIN = Path("/usr/lib/postfix/sbin")
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.net
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
local_header_rewrite_clients =
smtpd_tls_security_level = none
address_verify_poll_delay = 1s
default_transport = error:nothing goes out of here
relay_transport = error:nothing goes out of here
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str:
    """Why Postfix cannot be run here; "" where it can."""
    if not (_SBIN / "master").exists() or shutil.which("postfix", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        return "Postfix is not installed"
    return "" if os.geteuid() == 0 else "only root can start Postfix"


class Postfix:
    """Running from `start` to the end of the `with` block.

    Args:
        next_hop: where mailpost takes LMTP, as Postfix writes it: "unix:/path" or "inet:127.0.0.1:24"; "{folder}" in
            it is the folder of this Postfix, which its processes can reach.
    """

    def __init__(self, next_hop: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailpost-postfix-"))
        self.folder.chmod(0o755)  # its processes are no longer root when they use it
        self.port = free_port()
        etc, data = self.folder / "etc", self.folder / "data"
        for made in (etc, data, self.folder / "queue"):
            made.mkdir(mode=0o755)
        shutil.chown(data, "postfix", "root")
        place = next_hop.format(folder=self.folder)
        main, hops = re.subn(r"(?m)^(virtual_transport = mailpost:).*$", rf"\g<1>{place}", _example("main.cf"))
        assert hops == 1
        (etc / "main.cf").write_text(_MAIN.format(folder=self.folder) + main)
        (etc / "master.cf").write_text(_MASTER.format(port=self.port) + _example("master.cf"))
        self._etc = etc

    def __enter__(self) -> Postfix:
        path = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        with (self.folder / "out").open("ab") as out:
            made = ["postfix", "-c", self._etc, "check"]
            subprocess.run(made, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=path, check=True)
            self._process = subprocess.Popen(
                [_SBIN / "master", "-c", self._etc, "-d"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=path
            )
        until = time.monotonic() + 20
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with smtplib.SMTP("127.0.0.1", self.port, timeout=5):
                    return self
            except OSError:
                time.sleep(0.05)
        problem = f"Postfix did not come up:\n{(self.folder / 'out').read_text()}\n{self.log}"
        self.stop()
        raise AssertionError(problem)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and all its processes, and remove what was its own."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
        shutil.rmtree(self.folder)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def waiting(self) -> int:
        """Messages in its queues."""
        queues = (self.folder / "queue" / name for name in ("incoming", "active", "deferred", "maildrop", "hold"))
        return sum(path.is_file() for queue in queues for path in queue.rglob("*"))


def _example(name: str) -> str:
    return (EXAMPLES / name).read_text()
