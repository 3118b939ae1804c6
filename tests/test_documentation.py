"""The code of the documentation runs.

The pages for tests are one test module each, in a pytest of their own. The page for programs is one program, whose
blocks run one after the other with a reactor, as they stand but for the ports; clients then try what it has made.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PROGRAM = """
import ast, imaplib, inspect, smtplib, sys, traceback

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

page = {}
imaplib.Commands["XHELLO"] = ("AUTH", "SELECTED")


async def run(block):
    code = compile(block, "embedding.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    answer = eval(code, page)
    if inspect.iscoroutine(answer):
        await answer


def imap(port, folder, *commands):
    with imaplib.IMAP4("127.0.0.1", port, timeout=20) as client:
        client.login("ann", "secret")
        answers = [client.select(folder)]
        answers += [client.fetch("1", "(BODY[])"), *(client._simple_command(*each) for each in commands)]
        return answers


def deliver(port, recipient, octets):
    with smtplib.LMTP("127.0.0.1", port, timeout=20) as client:
        client.sendmail("bob@example.com", [recipient], octets)


async def check():
    ports = {name: {key: each.port for key, each in page[name].addresses.items()} for name in SERVERS}
    assert page["problem"] is None
    selected, fetched = await deferToThread(imap, ports["server"]["imap"], "INBOX")
    assert selected == ("OK", [b"1"]) and fetched[1][0][1].endswith(b"Hello!\\r\\n"), (selected, fetched)
    selected, fetched = await deferToThread(imap, ports["watching"]["imap"], "Alerts/Now")
    assert selected == ("OK", [b"1"]) and b"The disk is full" in fetched[1][0][1], (selected, fetched)
    await deferToThread(deliver, ports["heard"]["lmtp"], "ann@example.org", b"Subject: x\\r\\n\\r\\n")
    await deferToThread(imap, ports["heard"]["imap"], "INBOX")
    while len(page["tell"].lines) < 2:
        await deferToThread(lambda: None)
    first, second = page["tell"].lines
    assert first.startswith("ann has new mail: ") and second == "ann has marked [1] in INBOX", page["tell"].lines
    for octets, kept in ((b"X-A: b\\r\\nX-Spam: yes\\r\\n\\r\\n", "Junk"), (b"Subject: x\\r\\n\\r\\n", "INBOX")):
        await deferToThread(deliver, ports["sorting"]["lmtp"], "cleo@example.org", octets)
        assert page["sorting"].store.account("cleo").status(kept).messages == 1, kept
    try:
        await deferToThread(deliver, ports["sorting"]["lmtp"], "cleo@example.org", b"\\r\\nEICAR")
    except smtplib.SMTPDataError as refusal:
        assert b"no viruses" in refusal.smtp_error
    else:
        raise AssertionError("a virus was taken")
    _, _, hello = await deferToThread(imap, page["port"].getHost().port, "INBOX", ["XHELLO"])
    assert hello == ("OK", [b"done"]), hello
    notes = page["Notes"]()
    assert notes.add(page["NewMessage"](b"A: b\\r\\n\\r\\ntext")) == 1 and notes.list()[0].version == "text"
    notes.flag(1, frozenset())
    notes.remove(1)
    members = page["Members"]({"ann": "$2y$05$x"})
    assert (await members.find("ann")).password == "{BLF-CRYPT}$2y$05$x" and await members.find("eve") is None


async def main():
    for block in BLOCKS:
        await run(block)
    page["sorting"].startService()
    exec("from mailpost.api import NewMessage", page)
    await check()
    for name in SERVERS:
        await page[name].stopService()
    print("all of it runs")


SERVERS = ("server", "watching", "heard", "sorting")


def ended(failure):
    failure.printTraceback(sys.stderr)


Deferred.fromCoroutine(main()).addErrback(ended).addBoth(lambda _: reactor.stop())
reactor.run()
"""


def blocks_of(page: str) -> list[str]:
    """The code of a page, with ports that the system chooses."""
    text = (DOCS / page).read_text()
    found = _BLOCK.findall(text)
    assert len(found) * 2 == len(re.findall(r"^```", text, re.MULTILINE)), "there is a block of another kind"
    return found


def run_as_tests(folder: Path, text: str) -> None:
    """Run a test module of the documentation, in which every test must pass."""
    (folder / "test_page.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    tests = [line for line in text.splitlines() if re.match(r"( {4})?(async )?def test_", line)]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= max(3, len(tests))


@pytest.mark.parametrize("page", ["testing.md", "testing-migrating.md"])
def test_a_page_for_tests(page: str, tmp_path: Path) -> None:
    run_as_tests(tmp_path, "\n\n".join(_BLOCK.findall((DOCS / page).read_text())))


def test_the_page_for_programs(tmp_path: Path) -> None:
    blocks = blocks_of("embedding.md")
    suites = [block for block in blocks if "TestCase" in block]
    run_as_tests(tmp_path, "\n\n".join(suites))
    program = [re.sub(r'"tcp:\d+:', '"tcp:0:', block) for block in blocks if block not in suites]
    assert len(program) >= 10
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", f"BLOCKS = {program!r}\n{PROGRAM}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.endswith("all of it runs\n"), done.stdout + done.stderr
