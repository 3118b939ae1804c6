"""The configuration of mail that goes out, and what it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import reactor

from mailpost.delivery.outgoing.smarthost import Security
from mailpost.service import sending
from mailpost.service.config import Config, ConfigError
from mailpost.service.configfile import parse
from tests.delivery.outgoing.smarthost import at_once
from tests.service.certificates import write_certificate

LEAST = """
[storage]
maildir = "/srv/mail/{user}"
[listen]
imap = ["tcp:1143"]
[smarthost]
host = "smtp.example.net"
queue = "queue"
"""


def config(folder: Path, more: str = "") -> Config:
    return parse(LEAST + more, folder / "mailpost.toml")


def problems(more: str, least: str = LEAST) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(least + more, Path("/etc/mailpost/mailpost.toml"))
    return [each.partition(": ")[2] for each in caught.value.problems]


def test_what_holds_if_nothing_is_said(tmp_path: Path) -> None:
    settings = config(tmp_path).smarthost
    assert (settings.port, settings.tls, settings.connections) == (587, "starttls", 4)
    assert settings.queue == tmp_path / "queue"
    assert [each / 60 for each in settings.retry_after] == [1, 5, 15, 30, 60, 120, 240]
    assert (settings.give_up, settings.warn_after) == (5 * 86_400, 4 * 3600)


def test_times_have_units(tmp_path: Path) -> None:
    settings = config(tmp_path, 'retry_after = ["90s", "2h", 5]\ngive_up = "2d"').smarthost
    assert settings.retry_after == (90, 7200, 5)
    assert settings.give_up == 172_800


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('tls = "ssl"', "smarthost.tls: must be one of starttls, implicit, opportunistic, none"),
        ("retry_after = []", 'smarthost.retry_after: must be times such as ["1m", "1h"]'),
        ('retry_after = "1m"', 'smarthost.retry_after: must be a list of times: ["1m", "1h"]'),
        ('user = "u"', "smarthost: user and password_file go together"),
        ('password_file = "p"', "smarthost: user and password_file go together"),
    ],
)
def test_what_cannot_be_meant(more: str, told: str) -> None:
    assert problems(more) == [told]


def test_a_smarthost_needs_a_queue_and_a_name() -> None:
    assert problems("", LEAST.replace('queue = "queue"\n', "")) == [
        "smarthost.queue: is missing: the folder in which messages wait"
    ]
    assert problems("", LEAST.replace("example.net", "example.net:25")) == [
        'smarthost.host: must be a name such as "smtp.example.net", without port'
    ]


def test_the_folder_of_the_queue_must_have_a_place(tmp_path: Path) -> None:
    sending.require_queue(config(tmp_path))
    with pytest.raises(ConfigError, match="is no folder"):
        sending.require_queue(config(tmp_path / "nowhere"))
    assert not (tmp_path / "queue").exists(), "a look makes nothing"


def test_how_the_smarthost_is_reached(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("se cret\nrest\n")
    write_certificate(tmp_path / "ca.pem", tmp_path / "key.pem")
    login = 'ca_file = "ca.pem"\nuser = "u"\npassword_file = "password"\n'
    for security in Security:
        made = sending.smarthost(config(tmp_path, f'{login}tls = "{security.value}"'), reactor, at_once, reactor)
        assert made.security is security
        assert (made.tls is None) is (security is Security.NONE)
        assert made.credentials is not None
        assert made.credentials() == ("u", "se cret")
        assert not made.local
    assert sending.smarthost(config(tmp_path), reactor, at_once, reactor).credentials is None


@pytest.mark.parametrize(
    "text", [None, "no certificate", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"]
)
def test_certificates_that_cannot_be_read(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    with pytest.raises(ConfigError, match=r"smarthost.ca_file: .*ca.pem"):
        sending.smarthost(config(tmp_path, 'ca_file = "ca.pem"'), reactor, at_once, reactor)
