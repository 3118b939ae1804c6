"""Mail comes in by LMTP for two while three sessions idle, and goes out by POP3, which deletes it.

RFC: 2033 §4.2, 2177 §3, 1939 §6
"""

from __future__ import annotations

import poplib
import smtplib
import threading
from collections import Counter
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import configured, free_port
from tests.corpus import messages, without_return_path

COUNT = 500
_CONFIG = 'lmtp = ["tcp:{lmtp}:interface=127.0.0.1"]\npop3 = ["tcp:{pop3}:interface=127.0.0.1"]\n'


def letters() -> list[bytes]:
    """So many real messages, each different, of octets that SMTP can carry; without Return-Path, which LMTP sets."""
    able = [without_return_path(each) for each in messages() if _is_carried(each)]
    assert len(able) > 50
    return [b"X-Number: %d\r\n" % number + able[number % len(able)] for number in range(COUNT)]


def _is_carried(octets: bytes) -> bool:
    whole = octets.replace(b"\r\n", b"")
    return octets.endswith(b"\r\n") and not {0, 10, 13} & set(whole) and max(map(len, octets.split(b"\r\n"))) < 998


class Idler(threading.Thread):
    """A session that idles in INBOX until it has seen so many messages."""

    def __init__(self, port: int, user: str) -> None:
        super().__init__(daemon=True)
        self._client = IMAPClient("127.0.0.1", port, ssl=False, timeout=60)
        self._client.login(user, "pass")
        self._client.select_folder("INBOX")
        self._client.idle()
        self.counts: list[int] = []

    def run(self) -> None:
        while not self.counts or self.counts[-1] < COUNT:
            heard = self._client.idle_check(timeout=60)
            if not heard:
                return
            self.counts += [each[0] for each in heard if each[1:2] == (b"EXISTS",)]
        self._client.idle_done()
        self._client.logout()


def without_trace(octets: bytes) -> bytes:
    """A message as it was handed over: the fields that delivery put before it are taken off."""
    return octets[octets.index(b"X-Number: ") :]


def test_none_is_lost_and_none_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poplib, "_MAXLINE", 1 << 20)  # its own is below what real lines have
    ports = {"lmtp": free_port(), "pop3": free_port()}
    sent = letters()
    with configured(tmp_path, users=("ann", "bob"), extra=_CONFIG.format(**ports)) as server:
        idlers = [Idler(server.port, user) for user in ("ann", "ann", "bob")]
        for each in idlers:
            each.start()
        with smtplib.LMTP("127.0.0.1", ports["lmtp"], timeout=60) as client:
            client.ehlo_or_helo_if_needed()
            for octets in sent:
                hand_over(client, octets)
        for each in idlers:
            each.join(60)
            assert each.counts[-1:] == [COUNT]
            assert each.counts == sorted(set(each.counts)), "told once of each, and never of less"
        for user in ("ann", "bob"):
            fetched = fetch_and_delete(ports["pop3"], user)
            assert Counter(map(without_trace, fetched)) == Counter(sent)
            with IMAPClient("127.0.0.1", server.port, ssl=False, timeout=60) as left:
                left.login(user, "pass")
                assert left.select_folder("INBOX")[b"EXISTS"] == 0
        assert "Traceback" not in server.log.read_text()


def hand_over(client: smtplib.LMTP, octets: bytes) -> None:
    """To both; smtplib's own sendmail() does not know that each recipient has an answer."""
    codes = [client.mail("eve@example.net")[0], client.rcpt("ann")[0], client.rcpt("bob")[0]]
    codes += [client.data(octets)[0], client.getreply()[0]]
    assert codes == [250] * 5


def fetch_and_delete(port: int, user: str) -> list[bytes]:
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    client.user(user)
    client.pass_("pass")
    found = []
    for number in range(1, client.stat()[0] + 1):
        _, lines, _ = client.retr(number)
        found.append(b"".join(line + b"\r\n" for line in lines))
        client.dele(number)
    client.quit()
    return found
