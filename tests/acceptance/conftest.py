"""One server with the whole corpus in it, shared by the tests that only read it; fresh ones for the others."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import dovecot
from tests.acceptance.server import Twistd, configured, mailpost
from tests.corpus import a_round, messages


def corpus_folder(made: Path) -> Path:
    """A folder of messages, one a file: the corpus named in MAILPOST_CORPUS, or what the project makes."""
    named = os.environ.get("MAILPOST_CORPUS")
    if named:
        return Path(named)
    made.mkdir()
    for number, octets in enumerate(messages()):
        (made / f"{number:05}.eml").write_bytes(octets)
    return made


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus_folder(tmp_path_factory.mktemp("corpus") / "made")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Iterator[Twistd]:
    """A server whose user ann has the corpus in her folder "Corpus"."""
    folder = tmp_path_factory.mktemp("library")
    server = configured(folder)
    config = str(folder / "mailpost.toml")
    done = mailpost("import", "ann", str(corpus), "--folder", "Corpus", "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    with server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Twistd]:
    """A fresh server with the users ann and bob."""
    with configured(tmp_path, users=("ann", "bob")) as running:
        yield running


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server of `filled` has before it runs, made once."""
    folder = tmp_path_factory.mktemp("filled")
    letters = folder / "letters"
    letters.mkdir()
    for number, octets in enumerate(a_round()):
        (letters / f"{number:05}.eml").write_bytes(octets)
    configured(folder)
    config = str(folder / "mailpost.toml")
    done = mailpost("import", "ann", str(letters), "--folder", "INBOX", "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def filled(tmp_path: Path, filled_folder: Path) -> Iterator[Twistd]:
    """A fresh server: ann's INBOX holds `a_round`, message n with UID n; each is a file in the folder letters, too."""
    folder = tmp_path / "filled"
    shutil.copytree(filled_folder, folder)
    with configured(folder, users=()) as server:
        yield server


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the mail user can enter."""
    made = Path(tempfile.mkdtemp(prefix="mailpost-dovecot-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def shared(open_folder: Path) -> Twistd:
    """A mailpost that runs as the mail user, for trees that Dovecot serves too; not started yet."""
    served = open_folder / "mailpost"
    (served / "mail").mkdir(parents=True)
    server = configured(served)
    server.before = dovecot.AS_MAIL_USER
    for each in (served, served / "mail", *served.iterdir()):
        shutil.chown(each, dovecot.MAIL_USER, dovecot.MAIL_USER)
    return server
