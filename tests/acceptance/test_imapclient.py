"""What one client does, another that idles sees; with IMAPClient, which people use.

RFC: 2177 §3, 3501 §5.2, 6851 §3, 4315 §3, 7162 §3.1, 4731 §3.1, 6154 §2
"""

from __future__ import annotations

import email
import email.utils
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd
from tests.corpus import a_round, messages

LETTERS = [octets for octets in messages() if octets]


def connected(server: Twistd, user: str = "ann") -> IMAPClient:
    client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=20)
    client.login(user, "pass")
    return client


@pytest.fixture
def pair(server: Twistd) -> Iterator[tuple[IMAPClient, IMAPClient]]:
    """Two clients of ann with INBOX selected, 20 messages in it."""
    first, second = connected(server), connected(server)
    for octets in LETTERS[:20]:
        first.append("INBOX", octets)
    first.select_folder("INBOX")
    second.select_folder("INBOX")
    yield first, second
    first.logout()
    second.logout()


def heard(idler: IMAPClient, act: Callable[[], object], wanted: Callable[[Any], bool]) -> list[Any]:
    """What an idling client hears while another acts, until something is `wanted` (or five seconds have passed)."""
    idler.idle()
    act()
    news: list[Any] = []
    until = time.monotonic() + 5
    while not any(map(wanted, news)) and time.monotonic() < until:
        news += idler.idle_check(timeout=1)
    idler.idle_done()
    assert any(map(wanted, news)), news
    return news


def expunged(news: list[Any], before: list[int]) -> list[int]:
    """What is left of the messages after the EXPUNGEs among the news, each number as it was at its time."""
    left = list(before)
    for each in news:
        if each[1] == b"EXPUNGE":
            del left[each[0] - 1]
    return left


def test_flags_set_by_one_are_seen_by_the_other(pair: tuple[IMAPClient, IMAPClient]) -> None:
    actor, idler = pair
    uid = actor.search()[4]
    news = heard(idler, lambda: actor.add_flags([uid], [rb"\Flagged", b"$Work"]), lambda each: each[1] == b"FETCH")
    (fetch,) = [each for each in news if each[1] == b"FETCH"]
    told = dict(zip(fetch[2][::2], fetch[2][1::2], strict=True))
    assert fetch[0] == 5
    assert set(told[b"FLAGS"]) - {rb"\Recent"} == {rb"\Flagged", b"$Work"}
    assert idler.search(["FLAGGED", "KEYWORD", "$Work"]) == [uid]


def test_a_new_message_is_heard_at_once(pair: tuple[IMAPClient, IMAPClient]) -> None:
    actor, idler = pair
    news = heard(idler, lambda: actor.append("INBOX", LETTERS[20]), lambda each: each[1] == b"EXISTS")
    assert (21, b"EXISTS") in news


def test_expunge_is_heard_with_the_right_numbers(pair: tuple[IMAPClient, IMAPClient]) -> None:
    actor, idler = pair
    uids = actor.search()
    actor.delete_messages([uids[2], uids[9]])
    news = heard(idler, actor.expunge, lambda each: each == (3, b"EXPUNGE"))
    assert expunged(news, uids) == idler.search() == [uid for uid in uids if uid not in (uids[2], uids[9])]


def test_a_move_shows_in_both_folders(pair: tuple[IMAPClient, IMAPClient]) -> None:
    actor, idler = pair
    uids = actor.search()
    wanted = actor.fetch(uids[:3], ["BODY.PEEK[]"])
    news = heard(idler, lambda: actor.move(uids[:3], "Archive"), lambda each: each == (1, b"EXPUNGE"))
    assert expunged(news, uids) == idler.search() == uids[3:]
    idler.select_folder("Archive")
    there = idler.fetch(idler.search(), ["BODY.PEEK[]"])
    assert [row[b"BODY[]"] for row in there.values()] == [row[b"BODY[]"] for row in wanted.values()]


def test_a_copy_keeps_flags_and_date(pair: tuple[IMAPClient, IMAPClient]) -> None:
    actor, idler = pair
    uid = actor.search()[0]
    actor.set_flags([uid], [rb"\Seen", b"$Forwarded"])
    before = actor.fetch([uid], ["FLAGS", "INTERNALDATE", "RFC822.SIZE"])[uid]
    idler.select_folder("Archive")
    assert (1, b"EXISTS") in heard(idler, lambda: actor.copy([uid], "Archive"), lambda each: each[1] == b"EXISTS")
    (copy,) = idler.fetch(idler.search(), ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]).values()
    assert set(copy[b"FLAGS"]) - {rb"\Recent"} == set(before[b"FLAGS"]) - {rb"\Recent"}
    assert copy[b"INTERNALDATE"] == before[b"INTERNALDATE"]
    assert copy[b"RFC822.SIZE"] == before[b"RFC822.SIZE"]


def test_folders_are_the_same_for_both(pair: tuple[IMAPClient, IMAPClient]) -> None:
    actor, other = pair
    actor.create_folder("Projects/Größe")
    actor.subscribe_folder("Projects/Größe")
    assert "Projects/Größe" in [name for _, _, name in other.list_folders()]
    actor.rename_folder("Projects", "Done")
    names = [name for _, _, name in other.list_folders()]
    assert "Done/Größe" in names and "Projects/Größe" not in names
    actor.delete_folder("Done/Größe")
    assert "Done/Größe" not in [name for _, _, name in other.list_folders()]
    uses = {name: flags for flags, _, name in other.list_folders()}
    assert rb"\Sent" in uses["Sent"] and rb"\Trash" in uses["Trash"]


def test_a_round(server: Twistd) -> None:
    """Every one of many messages is added, marked, searched for, copied, moved and removed."""
    letters = a_round()
    client, other = connected(server), connected(server)
    for begin in range(0, len(letters), 250):
        batch = [{"msg": octets, "flags": [b"$Work"]} for octets in letters[begin : begin + 250]]
        client.multiappend("INBOX", batch)
    client.select_folder("INBOX")
    uids = client.search()
    rows = client.fetch(uids, ["BODY.PEEK[]", "FLAGS", "RFC822.SIZE"])
    assert [rows[uid][b"BODY[]"] for uid in uids] == letters
    assert [rows[uid][b"RFC822.SIZE"] for uid in uids] == list(map(len, letters))
    assert all(b"$Work" in row[b"FLAGS"] for row in rows.values())

    big = [uid for uid, octets in zip(uids, letters, strict=True) if len(octets) > 5000]
    assert client.search(["LARGER", 5000]) == big
    for uid in uids[::2]:
        client.add_flags([uid], [rb"\Seen"], silent=True)
    assert client.search(["SEEN", "KEYWORD", "$Work"]) == uids[::2]
    other.select_folder("INBOX", readonly=True)
    assert other.search("UNSEEN") == uids[1::2]

    client.copy(uids, "Archive")
    client.move(uids[:100], "Sent")
    client.delete_messages(uids[100:150])
    client.uid_expunge(uids[100:150])
    assert client.search() == other.search() == uids[150:]
    for folder, wanted in (("Archive", letters), ("Sent", letters[:100])):
        other.select_folder(folder, readonly=True)
        there = other.fetch(other.search(), ["BODY.PEEK[]", "FLAGS"])
        assert [row[b"BODY[]"] for row in there.values()] == wanted
        assert [rb"\Seen" in row[b"FLAGS"] for row in there.values()] == [n % 2 == 0 for n in range(len(wanted))]
    client.logout()
    other.logout()
    assert "Traceback" not in server.log.read_text()


def test_every_message_is_the_file_octet_for_octet(library: Twistd) -> None:
    client = connected(library)
    client.select_folder("Corpus", readonly=True)
    rows = client.fetch(client.search(), ["BODY.PEEK[]"])
    assert Counter(row[b"BODY[]"] for row in rows.values()) == Counter(messages())
    client.logout()


def test_envelopes_agree_with_the_email_package(library: Twistd) -> None:
    client = connected(library)
    client.select_folder("Corpus", readonly=True)
    rows = client.fetch(client.search(), ["ENVELOPE", "BODY.PEEK[HEADER]"])
    compared = 0
    for row in rows.values():
        envelope, parsed = row[b"ENVELOPE"], email.message_from_bytes(row[b"BODY[HEADER]"])
        if parsed.defects or not row[b"BODY[HEADER]"].isascii() or b"\0" in row[b"BODY[HEADER]"]:
            continue
        compared += 1
        assert text(envelope.subject) == text(parsed["subject"])
        assert text(envelope.message_id) == text(parsed["message-id"])
        sender = email.utils.getaddresses([text(parsed["from"])])
        if sender and sender[0][1].count("@") == 1 and envelope.from_:
            mailbox, host = sender[0][1].split("@")
            assert (envelope.from_[0].mailbox.decode(), envelope.from_[0].host.decode()) == (mailbox, host)
    # Of real mail the package reads most; half of what the project makes is broken on purpose.
    assert compared >= (len(rows) * 0.7 if os.environ.get("MAILPOST_CORPUS") else 100)
    client.logout()


def text(value: object) -> str:
    """A header's value on one line, white space folded."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return " ".join(str(value or "").split())


def test_mod_sequences_and_esearch(pair: tuple[IMAPClient, IMAPClient]) -> None:
    actor, other = pair
    uids = actor.search()
    before = other.folder_status("INBOX", ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"]
    actor.add_flags(uids[:2], [rb"\Answered"])
    changed = other.fetch(uids, ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert sorted(changed) == uids[:2]
    assert all(row[b"MODSEQ"][0] > before for row in changed.values())


def test_idle_hears_within_20_ms(pair: tuple[IMAPClient, IMAPClient]) -> None:
    actor, idler = pair
    uid = actor.search()[0]
    delays = []
    for round_ in range(21):
        idler.idle()
        begun = time.perf_counter()
        (actor.remove_flags if round_ % 2 else actor.add_flags)([uid], [rb"\Flagged"], silent=True)
        while not any(each[1] == b"FETCH" for each in idler.idle_check(timeout=5)):
            assert time.perf_counter() < begun + 5
        delays.append(time.perf_counter() - begun)
        idler.idle_done()
    assert statistics.median(delays) < 0.020, delays
