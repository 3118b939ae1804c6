"""What the configuration says reaches the listeners of every protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from mailpost.service import assembly
from mailpost.service.configfile import parse

TEXT = """
[server]
hostname = "mail.example.org"
[storage]
maildir = "mail/{user}"
[users]
file = "users"
[listen]
imap = ["tcp:0:interface=127.0.0.1"]
[tls]
allow_plaintext_auth = true
[limits]
pipelined = "9K"
connections_per_address = 7
connections_per_user = 5
login_timeout = 11
"""


@pytest.mark.parametrize("protocol", ["imap", "pop3", "lmtp", "submission"])
def test_what_is_said_for_all(protocol: str, tmp_path: Path) -> None:
    settings = getattr(assembly, f"{protocol}_settings")(parse(TEXT, tmp_path / "mailpost.toml"))
    assert settings.hostname == "mail.example.org"
    assert (settings.pipelined_octets, settings.connections_per_address) == (9 << 10, 7)


@pytest.mark.parametrize("protocol", ["imap", "pop3", "submission"])
def test_what_is_said_for_all_that_log_in(protocol: str, tmp_path: Path) -> None:
    settings = getattr(assembly, f"{protocol}_settings")(parse(TEXT, tmp_path / "mailpost.toml"))
    assert (settings.connections_per_user, settings.login_timeout) == (5, 11)
    assert settings.allow_plaintext_auth, "for one protocol as for another"


@pytest.mark.parametrize(
    ("description", "backlog"),
    [
        ("tcp:1143:interface=127.0.0.1", assembly.BACKLOG),
        ("tcp:port=1143:interface=127.0.0.1", assembly.BACKLOG),
        ("tcp6:1143:interface=\\\\:\\\\:1", assembly.BACKLOG),
        ("tcp:1143:interface=127.0.0.1:backlog=7", 7),
        ("tcp:1143:127.0.0.1:7", 7),
    ],
)
def test_many_may_wait_to_be_taken(description: str, backlog: int, tmp_path: Path) -> None:
    reactor = MemoryReactorClock()
    config = parse(TEXT.replace("tcp:0:interface=127.0.0.1", description), tmp_path / "mailpost.toml")
    (listener,) = assembly.endpoints_of(config, reactor)
    listener.endpoint.listen(Factory())
    assert listener.description == config.listen.imap[0], "the log says what the operator has written"
    assert reactor.tcpServers[0][2] == backlog


def test_many_may_wait_at_a_socket_of_the_file_system(tmp_path: Path) -> None:
    reactor = MemoryReactorClock()
    config = parse(
        TEXT.replace("tcp:0:interface=127.0.0.1", f"unix:{tmp_path}/socket:mode=660"), tmp_path / "mailpost.toml"
    )
    (listener,) = assembly.endpoints_of(config, reactor)
    listener.endpoint.listen(Factory())
    assert reactor.unixServers[0][2] == assembly.BACKLOG
