"""`mailpost queue`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailpost.admin import queueing
from mailpost.admin.errors import CommandError
from mailpost.mail.errors import MailError
from mailpost.service.config import ConfigError
from tests.admin.test_commands import options
from tests.delivery.outgoing.smarthost import Script
from tests.delivery.outgoing.working import World

CONFIG = """
[storage]
maildir = "mail/{user}"
[users]
file = "users"
[listen]
imap = ["tcp:0:interface=127.0.0.1"]
[smarthost]
host = "smtp.example"
queue = "queue"
"""


class Desk:
    """A queue with a configuration, beside the server that sends it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = folder / "mailpost.toml"
        self.config.write_text(CONFIG)
        self.world = World(folder / "queue", Script(replies={"RCPT TO:<later@": "450 4.2.1 busy"}))
        self._capsys = capsys

    def run(self, *words: str) -> str:
        """What a command says."""
        command = {"list": queueing.list_queue, "show": queueing.show, "retry": queueing.retry}.get(words[0])
        self._capsys.readouterr()
        parsed = options("queue", *words, "--config", str(self.config))
        (command or queueing.remove)(None, parsed)
        return self._capsys.readouterr().out


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_an_empty_queue(desk: Desk) -> None:
    assert desk.run("list") == "0 messages in the queue\n"
    assert desk.run("retry", "--all") == "0 to be sent again now\n"


def test_what_waits_is_listed_with_its_reason(desk: Desk) -> None:
    name = desk.world.put("later@example.net", "carl@example.net")
    desk.world.pass_by(1)
    said = desk.run("list")
    assert said.startswith(f"{name}  20")
    assert "<ann@example.org>  tried 1x, next 20" in said
    assert "    later@example.net  450 4.2.1 busy\n" in said
    assert "carl@" not in said, "she has it"
    assert said.endswith("1 message in the queue\n")


def test_one_message_is_shown_with_its_header(desk: Desk) -> None:
    name = desk.world.put("later@example.net")
    desk.world.pass_by(1)
    said = desk.run("show", name)
    assert "from      <ann@example.org>, user ann\n" in said
    assert "          smtp.example: 450 4.2.1 busy\n" in said
    assert said.endswith("\nFrom: ann@example.org\nSubject: hello\n")
    with pytest.raises(CommandError, match="no message nothing"):
        desk.run("show", "nothing")


def test_a_retry_is_noticed_within_a_second(desk: Desk) -> None:
    name = desk.world.put("later@example.net")
    desk.world.pass_by(30 * 60)
    desk.world.script.replies.clear()
    for envelope in desk.world.folder.glob("*.envelope"):
        assert envelope.stat().st_mtime > desk.world.clock.seconds() + 5
    # The command takes the time of the day, the server under test has one of its own.
    desk.world.files.retry(name, desk.world.clock.seconds())
    desk.world.files.wake()
    desk.world.pass_by(1)
    assert desk.world.sent == [["later@example.net"]]


def test_retry_makes_messages_due_now(desk: Desk) -> None:
    names = [desk.world.put("later@example.net") for _ in range(2)]
    desk.world.pass_by(1)
    assert desk.run("retry", names[0]) == "1 to be sent again now\n"
    dues = [(desk.world.folder / f"{name}.envelope").stat().st_mtime for name in names]
    assert dues[0] > dues[1], "the time of this day is later than that of the test"
    assert desk.world.files.woken() > 0
    assert desk.run("retry", "--all") == "2 to be sent again now\n"
    with pytest.raises(CommandError, match="not in the queue: x"):
        desk.run("retry", "x", names[0])


def test_what_is_removed_is_gone(desk: Desk) -> None:
    names = [desk.world.put("later@example.net") for _ in range(3)]
    assert desk.run("remove", names[0]) == "1 removed\n"
    assert desk.world.files.names() == names[1:]
    with pytest.raises(CommandError, match="not in the queue"):
        desk.run("remove", f"../queue/{names[0]}")
    assert desk.run("remove", "--all") == "2 removed\n"
    desk.world.pass_by(3600)
    assert desk.world.inbox() == []
    assert desk.world.files.names() == []


def test_a_damaged_entry_is_named_and_left_to_the_server(desk: Desk) -> None:
    name = desk.world.put("later@example.net")
    (desk.world.folder / f"{name}.envelope").write_text("{")
    assert f"{name}  damaged: " in desk.run("list")
    with pytest.raises(CommandError, match="is damaged"):
        desk.run("show", name)
    assert (desk.world.folder / f"{name}.message").exists()


def test_a_configuration_without_a_queue(desk: Desk) -> None:
    desk.config.write_text(CONFIG.partition("[smarthost]")[0])
    with pytest.raises(ConfigError, match="nothing is queued"):
        desk.run("list")


def test_nothing_and_everything_cannot_be_meant_at_once(desk: Desk) -> None:
    for words in (("retry",), ("remove",), ("remove", "x", "--all"), ("show",)):
        with pytest.raises(Exception, match=r"name messages|Wrong number"):
            desk.run(*words)


def test_names_do_not_lead_out_of_the_queue(desk: Desk) -> None:
    outside = desk.config.parent / "outside.envelope"
    outside.write_text("{}")
    with pytest.raises((CommandError, MailError)):
        desk.run("remove", "../outside")
    assert outside.exists()
