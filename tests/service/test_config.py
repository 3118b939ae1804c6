from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.service.config import SECTIONS, VERSION, Config, ConfigError, Listen, Pattern, Storage
from mailpost.service.configfile import load, parse
from mailpost.service.sample import sample
from mailpost.service.tomllines import key_lines

PATH = Path("/etc/mailpost/mailpost.toml")
LEAST = """
[storage]
maildir = "/srv/mail/{user}"
[listen]
imap = ["tcp:1143"]
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, PATH)
    return caught.value.problems


def test_the_least_that_is_needed() -> None:
    config = parse(LEAST, PATH)
    assert config == Config(Storage(Pattern("/srv/mail/{user}")), Listen(("tcp:1143",)), server=config.server)
    assert config.server.hostname


def test_the_file_of_the_manual() -> None:
    text = """
    [server]
    hostname = "mail.example.org"
    [storage]
    maildir = "mail/{domain}/{local}"
    separator = "."
    index = "../index/{user}"
    [users]
    file = "users"
    [listen]
    imap = ["tcp:1143:interface=127.0.0.1"]
    imaps = ["tcp:1993"]
    [tls]
    certificate = "cert.pem"
    key = "/etc/ssl/key.pem"
    allow_plaintext_auth = true
    [limits]
    message = "1G"
    line = 100
    idle_timeout = "1h"
    login_timeout = 25
    """
    config = parse(text, PATH)
    assert config.server.hostname == "mail.example.org"
    assert config.storage.maildir == "/etc/mailpost/mail/{domain}/{local}"
    assert config.storage.index == "/etc/mailpost/../index/{user}"
    assert config.users.file == Path("/etc/mailpost/users")
    assert config.listen.imaps == ("tcp:1993",)
    assert config.tls.certificate == Path("/etc/mailpost/cert.pem")
    assert config.tls.key == Path("/etc/ssl/key.pem")
    assert config.tls.allow_plaintext_auth
    assert (config.limits.message, config.limits.line) == (1 << 30, 100)
    assert (config.limits.idle_timeout, config.limits.login_timeout) == (3600, 25)


def test_all_that_is_wrong_is_said_at_once_with_its_line_and_the_nearest_key() -> None:
    text = """[server]
hostnme = "x"
[storage]
maildir = "/srv/{usr}"
[listen]
imap = [
  "tcp:1",  # ]
]
certificate = "x"
zzz = 1
[limts]
line = 3
[limits]
line = "3Q"
idle_timeout = -1
connections_per_user = true
[tls]
allow_plaintext_auth = "yes"
certificate = 5
[folders]
sent = ["a"]
"""
    assert problems(text) == [
        f'{PATH}:2: server.hostnme: unknown key; did you mean "hostname"?',
        f'{PATH}:4: storage.maildir: there is no "{{usr}}"; known are {{user}}, {{local}}, {{domain}}',
        f"{PATH}:9: listen.certificate: unknown key; it belongs under [tls]",
        f"{PATH}:10: listen.zzz: unknown key; known are {', '.join(each.name for each in fields(Listen))}",
        f'{PATH}:11: limts: unknown section; did you mean "limits"?',
        f'{PATH}:14: limits.line: must be a number of octets above 0, or text such as "64K" or "50M"',
        f'{PATH}:15: limits.idle_timeout: must be a number of seconds above 0, or text such as "90s" or "30m"',
        f"{PATH}:16: limits.connections_per_user: must be a number above 0",
        f"{PATH}:18: tls.allow_plaintext_auth: must be true or false",
        f"{PATH}:19: tls.certificate: must be text in quotes",
        f"{PATH}:21: folders.sent: must be text in quotes",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[storage]\n", ":1: storage.maildir: is missing"),
        ("", ": storage.maildir: is missing"),
        ('[storage]\nmaildir = "/srv"\n[listen]\nimap = ["x"]', ":2: storage.maildir: needs {user}"),
        ('[storage]\nmaildir = "/srv/{local}"\n[listen]\nimap = ["x"]', ":2: storage.maildir: needs {user}"),
        ('[storage]\nmaildir = "/{user}"\n', ": listen: nothing to listen on"),
        (LEAST + 'imaps = ["tcp:993"]', ":6: listen.imaps: needs a tls.certificate"),
        (LEAST + 'imaps = "tcp:993"', ":6: listen.imaps: must be a list of texts"),
        (LEAST + '[tls]\nkey = "a"', ":7: tls.key: needs a tls.certificate"),
        (LEAST + '[folders]\nsent = "Trash"', ":6: folders: two of them have the same name"),
        (LEAST + '[folders]\nsent = "a/../b"', ":7: folders.sent: No level of a folder's name may be empty"),
        (LEAST + '[folders]\nsent = "inbox"', ":7: folders.sent: must not be the INBOX"),
        (LEAST + '[server]\nhostname = ""', ":7: server.hostname: must be a name such as"),
        (LEAST + '[server]\nhostname = "a\\r\\nb"', ":7: server.hostname: must be a name such as"),
        (LEAST.replace("[listen]", 'separator = ""\n[listen]'), ":4: storage.separator: must be one character"),
        (LEAST.replace("[listen]", 'separator = "a"\n[listen]'), ":4: storage.separator: must be one character"),
        ("storage = 5", ":1: storage: must be a section: [storage]"),
        ("[storage]\nmaildir =", ":2: not TOML: Invalid value"),
        ('[a]\nb = """', ":2: not TOML"),
        (LEAST.replace("[listen]", 'separator = "//"\n[listen]'), ":4: storage.separator: must be one character"),
    ],
)
def test_one_thing_wrong(text: str, problem: str) -> None:
    assert any(each.startswith(f"{PATH}{problem}") for each in problems(text)), problems(text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, octets in ((tmp_path / "none", None), (tmp_path / "latin", b"\xff")):
        if octets:
            path.write_bytes(octets)
        with pytest.raises(ConfigError, match=str(path)):
            load(path)


def test_the_sample_is_valid_and_names_every_key_once() -> None:
    text = sample()
    config = parse(text, PATH)
    assert config.storage.maildir == "/srv/mail/{user}"
    lines = [line.removeprefix("# ") if " = " in line else line for line in text.splitlines()]
    everything = tomllib.loads("\n".join(lines))
    assert everything.pop("version") == VERSION
    assert {name: set(values) for name, values in everything.items()} == {
        name: set(section.__annotations__) for name, section in SECTIONS.items()
    }
    full = parse("\n".join(lines), PATH)
    assert full.limits.quota == 2 << 30, "an example"
    assert replace(full.limits, quota=None) == config.limits, "what is in comments is what holds without them"
    assert full.folders == config.folders
    assert full.tls == config.tls


def test_the_sample_in_the_examples_is_the_printed_one() -> None:
    example = Path(__file__).parents[2] / "examples" / "mailpost.toml"
    assert example.read_text() == sample()


def test_lines_of_keys() -> None:
    text = """a = 1 # b = 2
"q.k" . c = '''
x = 1
'''
[t]   # [u]
l = [ 1, [
  "]", # ]
], {k = 1} ]
m = "\\"["
[t.'s s']
n = {a = [
]}

[[list]]
o = \"\"\"x\"\"\"\"
p = 1979-05-27T07:32:00Z
"""
    assert tomllib.loads(text)
    lines = key_lines(text)
    assert lines["a",] == 1
    assert lines["q.k", "c"] == 2
    assert lines["t",] == 5
    assert lines["t", "l"] == 6
    assert lines["t", "m"] == 9
    assert lines["t", "s s"] == 10
    assert lines["t", "s s", "n"] == 11
    assert lines["list",] == lines["list", "0"] == 14
    assert lines["list", "0", "o"] == 15
    assert lines["list", "0", "p"] == 16


def test_the_tables_of_an_array_have_numbers() -> None:
    lines = key_lines("[[a]]\nx = 1\n\n[[a]]\nx = 2\n[b]\n[[b.c]]\nx = 3\n")
    assert [lines["a", number, "x"] for number in "01"] == [2, 5]
    assert [lines["a", number] for number in "01"] == [1, 4]
    assert lines["b", "c", "0", "x"] == 8


@given(st.text(alphabet="ab=[]{}\"'#\n .,1\\"))
def test_lines_of_anything_that_is_toml(text: str) -> None:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        values = {}
    lines = key_lines(text)
    assert all((name,) in lines for name in values)


def test_a_file_says_its_version_or_is_of_the_first() -> None:
    assert parse(f"version = 1\n{LEAST}", PATH) == parse(LEAST, PATH)


def test_a_newer_file_is_refused_and_nothing_else_is_found_wrong_in_it() -> None:
    (problem,) = problems(f"# mine\nversion = {VERSION + 1}\nunheard_of = true\n[storage]\nnew_key = 1\n")
    assert problem.startswith(
        f"{PATH}:2: version: {VERSION + 1} is newer: this mailpost reads up to version {VERSION}; "
    )
    assert "--sample" in problem


@pytest.mark.parametrize("version", ["0", "-1", "true", '"1"', "1.0"])
def test_a_version_is_a_number(version: str) -> None:
    assert problems(f"version = {version}\n{LEAST}") == [f"{PATH}:1: version: must be a number, such as 1"]


def test_how_folders_lie_is_one_of_two() -> None:
    assert parse(LEAST, PATH).storage.layout == "maildir++"
    told = LEAST.replace("[listen]", 'layout = "fs"\n[listen]')
    assert parse(told, PATH).storage.layout == "fs"
    (problem,) = problems(told.replace('"fs"', '"nested"'))
    assert problem == f'{PATH}:4: storage.layout: must be "maildir++" or "fs"'
