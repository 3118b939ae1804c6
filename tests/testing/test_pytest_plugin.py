"""The plugin, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FAILING = """
import imaplib, smtplib

def test_fails(mailpost, mailpost_factory):
    ann = mailpost.user("ann@example.org")
    with imaplib.IMAP4(*mailpost.imap.address) as client:
        client.login(ann.name, ann.password)
        print("password:", ann.password)
    with imaplib.IMAP4(*mailpost_factory(hostname="other.test").imap.address) as client:
        client.noop()
    ann.inbox.wait(subject="never", timeout=0.01)

def test_passes(mailpost):
    with smtplib.SMTP(*mailpost.smtp.address) as client:
        client.verify("somebody")
"""
CHAOS = """
import pytest

@pytest.mark.mailpost(faults=[{"chaos": 4711}, {"command": "NOOP", "answer": "NO No"}])
def test_fails(mailpost):
    assert mailpost.faults.seeds == []
"""
LAZY = """
import sys

def test_without_a_server():
    assert [name for name in sys.modules if name.startswith("twisted")] == []
    assert "mailpost.testing.pytest_plugin" in sys.modules
"""
UNITTEST = """
import unittest
from mailpost.testing import MailpostMixin

class TestMail(MailpostMixin, unittest.TestCase):
    def test_a_mail(self):
        self.mailpost.user("ann@example.org").inbox.put("Subject: hello\\n\\nHello!")
        self.assertEqual(len(self.mailpost.user("ann@example.org").inbox.mails()), 1)
"""


def run(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py", *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_failure_has_the_faults_with_their_seeds(tmp_path: Path) -> None:
    done = run(tmp_path, CHAOS, "--strict-markers")
    assert "1 failed" in done.stdout
    shown = done.stdout.partition("mailpost 1: faults")[2]
    assert "chaos=4711: met 0 times\ncommand='NOOP', answer='NO No': met 0 times" in shown


def test_a_failure_has_the_transcripts(tmp_path: Path) -> None:
    done = run(tmp_path, FAILING)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert done.stdout.count("mailpost 1: transcripts") == 1
    shown = done.stdout.partition("mailpost 1: transcripts")[2]
    assert "LOGIN ***" in shown
    assert "mailpost 2: transcripts" in shown
    assert "NOOP completed" in shown
    assert "somebody" not in shown
    assert 'matches SUBJECT "never"' in done.stdout
    password = done.stdout.partition("password: ")[2].split()[0]
    assert password not in shown.partition("Captured")[0]


def test_the_plugin_imports_nothing_before_it_is_needed(tmp_path: Path) -> None:
    done = run(tmp_path, LAZY)
    assert done.returncode == 0, done.stdout


def test_classes_of_unittest(tmp_path: Path) -> None:
    done = run(tmp_path, UNITTEST, "-W", "error")
    assert done.returncode == 0, done.stdout
