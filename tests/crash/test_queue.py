"""A server that is killed again and again while users send mail: every 250 is a message that arrives.

At the smarthost at least once, in a mailbox here exactly once, and once in the folder of sent mail; what is refused
comes back.
"""

from __future__ import annotations

import random
import smtplib
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import pytest

from mailpost.storage.failpoints import QUEUE_FAILPOINTS
from tests.acceptance.server import configured, free_port
from tests.crash.actors import connected, done
from tests.crash.test_kills import KILLS, SEED
from tests.crash.workers import MailWorker
from tests.delivery.outgoing.smarthost import DROP, Listening, Script

ROUNDS = max(2 * len(QUEUE_FAILPOINTS), KILLS // 4)
SENDERS = 3
MOST = 12
"""Messages of one sender between two kills."""
_CONFIG = """\
submission = ["tcp:{port}:interface=127.0.0.1"]
[recipients]
domains = ["example.org"]
[smarthost]
host = "127.0.0.1"
port = {smarthost}
tls = "none"
queue = "queue"
retry_after = ["1s"]
"""


@dataclass
class Moody(Script):
    """A smarthost that is often out of sorts."""

    draw: random.Random = field(default_factory=random.Random)

    def reply(self, command: str, usual: str) -> str:
        """Mostly what is usual."""
        if command.startswith("RCPT TO:<no"):
            return "550 5.1.1 nobody"
        if command in (".", "") or command.startswith(("MAIL", "RCPT")):
            mood = self.draw.random()
            if mood < 0.03:
                return DROP
            if mood < 0.08:
                return "451 4.3.0 not now"
        return usual


class Sender(MailWorker):
    """A client of ann that sends mail to bob, who is here, and to two who are not, one of whom is nobody."""

    def __init__(self, name: str, draw: random.Random) -> None:
        super().__init__(name, draw)
        self.accepted: list[str] = []
        self.in_doubt: list[str] = []
        self._left = 0

    def begin(self, port: int) -> None:
        self._left = MOST
        super().begin(port)

    def _connected(self, port: int) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", port, timeout=20)
        client.login("ann", "pass")
        return client

    def _has_more(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def _send(self, client: smtplib.SMTP) -> None:
        name = f"{self.name}.{next(self._count)}"
        size = self._draw.choice((10, 1000, 100_000, 400_000))
        octets = f"From: ann@example.org\r\nMessage-ID: <{name}@laptop>\r\nSubject: {name}\r\n\r\n".encode()
        octets += b".dots\r\n" * (size // 7)
        self.in_doubt.append(name)
        client.sendmail("ann@example.org", ["bob@example.org", "carl@example.net", "no@example.net"], octets)
        self.accepted.append(self.in_doubt.pop())


def names_in(port: int, user: str, folder: str) -> Counter[str]:
    """The subjects of a folder."""
    client = connected(port, user)
    done(client, client.select(folder, readonly=True))
    data = done(client, client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    client.logout()
    return Counter(item[1].decode().partition(":")[2].strip() for item in data if isinstance(item, tuple))


def test_every_250_arrives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(SEED)
    script = Moody(draw=draw)
    smarthost = Listening(script)
    port = free_port()
    extra = _CONFIG.format(port=port, smarthost=smarthost.port)
    server = configured(tmp_path, users=("ann", "bob"), extra=extra)
    senders = [Sender(f"s{number}", random.Random(SEED * 100 + number)) for number in range(SENDERS)]
    points = cycle(draw.sample(QUEUE_FAILPOINTS, len(QUEUE_FAILPOINTS)))
    kills: Counter[str] = Counter()
    for _ in range(ROUNDS):
        point = f"{next(points)}:{draw.choice((1, 2, 5, 9))}" if draw.random() < 0.75 else ""
        server.before = ("env", f"MAILPOST_FAILPOINT={point}")
        begun = time.monotonic()
        try:
            server.start()
        except AssertionError:  # it sends what is due at once, and may have come to its failpoint before it answers
            if not point or time.monotonic() > begun + 15:
                raise
            assert server.process.wait() == -9
            kills[point.partition(":")[0]] += 1
            continue
        for sender in senders:
            sender.begin(port)
        until = time.monotonic() + (5 if point else draw.uniform(0.1, 1.5))
        while time.monotonic() < until and server.process.poll() is None:
            time.sleep(0.01)
        reached = server.process.poll() is not None
        assert not reached or server.process.returncode == -9, server.log.read_text()[-3000:]
        server.kill()
        kills[point.partition(":")[0] if reached else "at random"] += 1
        for sender in senders:
            sender.join()
            assert not sender.refusals, sender.refusals
    server.before = ()
    with server:
        end = time.monotonic() + 120
        while list((tmp_path / "queue").glob("*.envelope")):
            assert time.monotonic() < end, server.log.read_text()[-5000:]
            time.sleep(0.1)
        local, copies, reports = (
            names_in(server.port, *place) for place in (("bob", "INBOX"), ("ann", "Sent"), ("ann", "INBOX"))
        )
        bounced = bounces(server.port)
    smarthost.close()
    taken = Counter(each.octets.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for each in script.taken)
    accepted = [name for sender in senders for name in sender.accepted]
    doubtful = {name for sender in senders for name in sender.in_doubt}
    with capsys.disabled():
        twice = sum(times > 1 for times in taken.values())
        sys.stdout.write(
            f"\nseed {SEED}: {sum(kills.values())} kills {dict(kills)}, {len(accepted)} messages acknowledged, {twice}"
            f" sent more than once, {sum(reports.values())} bounces\n"
        )
    assert len(accepted) > ROUNDS
    assert [name for name in accepted if not taken[name]] == [], "lost on the way out"
    assert [name for name in accepted if not bounced[name]] == [], "not told of"
    assert {name: local[name] for name in accepted if local[name] != 1} == {}
    assert {name: copies[name] for name in accepted if copies[name] != 1} == {}
    assert {name for name in (local | copies | taken) if name not in {*accepted, *doubtful}} == set()
    assert all(local[name] <= 1 and copies[name] <= 1 for name in doubtful)
    whole = {each.octets.partition(b"\r\n\r\n")[2].replace(b".dots\r\n", b"") for each in script.taken}
    assert whole == {b""}
    left = [path for path in (tmp_path / "queue").rglob("*") if path.is_file() and path.name not in ("lock", "wake")]
    assert all(path.suffix == ".message" or path.parent.name == "tmp" for path in left), "swept away in time"
    assert kills.keys() - {"at random"}, "no failpoint was reached"
    assert not list((tmp_path / "queue" / "corrupt").iterdir())


def bounces(port: int) -> Counter[str]:
    """The messages that were reported as undeliverable."""
    client = connected(port)
    done(client, client.select("INBOX", readonly=True))
    data = done(client, client.uid("FETCH", "1:*", "(BODY.PEEK[])"))
    client.logout()
    found: Counter[str] = Counter()
    for item in data:
        if isinstance(item, tuple):
            octets = item[1]
            assert b"Final-Recipient: rfc822;no@example.net\r\nAction: failed\r\n" in octets
            found[octets.rpartition(b"Subject: ")[2].partition(b"\r\n")[0].decode()] += 1
    return found
