"""Real mail, imported and read back through the standard library's IMAP client.

RFC: 3501 §6.4.5
"""

from __future__ import annotations

import email
import email.policy
import imaplib
import re
from collections import Counter
from pathlib import Path

from tests.acceptance.server import Twistd, mailpost
from tests.corpus import messages


def selected(server: Twistd, folder: str = "Corpus") -> tuple[imaplib.IMAP4, int]:
    client = imaplib.IMAP4("127.0.0.1", server.port)
    client.login("ann", "pass")
    kind, answer = client.select(folder, readonly=True)
    assert kind == "OK" and answer[0] is not None
    return client, int(answer[0])


def fetched(client: imaplib.IMAP4, numbers: str, item: str) -> list[bytes]:
    kind, answer = client.fetch(numbers, item)
    assert kind == "OK"
    return [part[1] for part in answer if isinstance(part, tuple)]


def test_every_message_is_the_file_octet_for_octet(library: Twistd) -> None:
    client, count = selected(library)
    expected = Counter(messages())
    assert count == expected.total()
    got: Counter[bytes] = Counter()
    for first in range(1, count + 1, 500):
        got.update(fetched(client, f"{first}:{min(first + 499, count)}", "(BODY.PEEK[])"))
    assert got == expected
    client.logout()


def test_sizes_are_those_of_the_octets(library: Twistd) -> None:
    client, _ = selected(library)
    kind, answer = client.fetch("1:*", "(RFC822.SIZE)")
    sizes = Counter(int(re.search(rb"RFC822.SIZE (\d+)", line).group(1)) for line in answer)  # type: ignore[union-attr, arg-type]
    assert kind == "OK"
    assert sizes == Counter(len(octets) for octets in messages())
    client.logout()


def test_parts_are_what_the_whole_is_made_of(library: Twistd) -> None:
    client, count = selected(library)
    last = min(count, 300)
    whole = fetched(client, f"1:{last}", "(BODY.PEEK[])")
    header = fetched(client, f"1:{last}", "(BODY.PEEK[HEADER])")
    text = fetched(client, f"1:{last}", "(BODY.PEEK[TEXT])")
    assert len(whole) == len(header) == len(text) == last
    for octets, head, body in zip(whole, header, text, strict=True):
        assert head + body == octets
    middle = fetched(client, f"1:{last}", "(BODY.PEEK[]<10.50>)")
    assert middle == [octets[10:60] for octets in whole]
    client.logout()


def test_a_second_import_adds_nothing(library: Twistd, corpus: Path) -> None:
    config = str(library.folder / "mailpost.toml")
    done = mailpost("import", "ann", str(corpus), "--folder", "Corpus", "--config", config)
    assert done.returncode == 0, done.stderr
    client, count = selected(library)
    assert count == len(messages())
    client.logout()


def test_searching_finds_what_the_email_package_finds(library: Twistd) -> None:
    client, _ = selected(library)
    bodies = fetched(client, "1:*", "(BODY.PEEK[HEADER])")
    parsed = [email.message_from_bytes(octets, policy=email.policy.compat32) for octets in bodies]
    wanted = {n for n, m in enumerate(parsed, 1) if "linux" in str(m["subject"] or "").lower()}
    kind, answer = client.search(None, "SUBJECT", '"linux"')
    assert kind == "OK"
    found = {int(n) for n in answer[0].split()}
    # A subject with encoded words is decoded by the server, and not by compat32: only those may differ.
    encoded = {n for n, m in enumerate(parsed, 1) if "=?" in str(m["subject"] or "")}
    assert found - encoded == wanted - encoded
    client.logout()
