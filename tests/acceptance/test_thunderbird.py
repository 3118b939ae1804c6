"""Thunderbird, on a screen that nobody sees: lists, shows, downloads, flags, moves, hears.

MAILPOST_SCREENSHOT names a file for what its window shows in the end.

RFC: 2177 §3, 3501 §6.4.6, 6154 §2, 6851 §3, 7162 §3.1
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd
from tests.acceptance.thunderbird.program import Thunderbird, missing, wait
from tests.corpus import a_round

pytestmark = pytest.mark.skipif(missing() != "", reason=missing())

_OWN_FIELDS = re.compile(rb"\A(?:X-Mozilla-[^\r\n]*\r?\n)+")
"""What Thunderbird writes before a message that it keeps."""
_HANDS = (Path(__file__).parent / "thunderbird" / "hands.js").read_text()


class User:
    """What one does with Thunderbird as ann, and what one sees."""

    def __init__(self, program: Thunderbird) -> None:
        self.program = program

    def do(self, script: str, *arguments: object) -> Any:
        return self.program.run(_HANDS + script, *arguments)


@pytest.fixture
def user(filled: Twistd, tmp_path: Path) -> Iterator[User]:
    """Thunderbird with ann's password, INBOX shown."""
    with Thunderbird(tmp_path / "thunderbird", filled.port) as program:
        user = User(program)
        user.do("await keep_password('ann', 'pass'); pane.displayFolder(inbox.URI);")
        yield user


def plain(octets: bytes) -> bytes:
    """Without what Thunderbird adds, whatever the line ends; it ends each message with one."""
    return _OWN_FIELDS.sub(b"", octets).replace(b"\r\n", b"\n").removesuffix(b"\n")


def test_a_round(filled: Twistd, user: User) -> None:
    letters = a_round()
    count = len(letters)
    plainest = re.compile(rb"(?im)^content-type: text/plain; charset=us-ascii")
    shown = max(uid for uid, octets in enumerate(letters, 1) if plainest.search(octets))

    names = user.do("await until(() => headers(inbox).length === given[0]); return folders();", count)
    assert names == ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]
    uses = user.do("return ['Archive', 'Drafts', 'Junk', 'SentMail', 'Trash'].map(use => folder_for(use)?.URI);")
    assert [use.rpartition("/")[2] for use in uses] == ["Archive", "Drafts", "Junk", "Sent", "Trash"]

    words = set(user.do("return await shown(given[0]);", shown).split())
    sent = set(letters[shown - 1].decode("latin-1").split())
    assert len(words & sent) > len(words) * 0.9 > 5, words - sent  # some it draws: smileys, quotes

    kept = user.do("await downloaded(inbox); return await all_octets(inbox);")
    assert [plain(base64.b64decode(each)) for each in kept] == [plain(octets) for octets in letters]

    with IMAPClient("127.0.0.1", filled.port, ssl=False, timeout=30) as other:
        other.login("ann", "pass")
        other.select_folder("INBOX")

        def flagged(*criteria: str) -> list[int]:
            other.noop()
            return list(other.search(list(criteria)))

        user.do("inbox.markMessagesRead(headers(inbox), true);")
        user.do("inbox.markMessagesFlagged(with_uids(inbox, given[0]), true);", [1, 2, 3])
        user.do("inbox.addKeywordsToMessages(with_uids(inbox, given[0]), '$label1');", [4, 5])
        user.do("inbox.markMessagesRead(with_uids(inbox, given[0]), false);", [6])
        wait(lambda: flagged("UNSEEN") == [6])
        assert flagged("FLAGGED") == [1, 2, 3]
        assert flagged("KEYWORD", "$label1") == [4, 5]

        other.add_flags([9], [b"\\Flagged"])
        other.append("INBOX", b"Subject: live\r\nFrom: bob@example.org\r\n\r\nhello\r\n")
        user.do(
            "await until(() => with_uids(inbox, [given[1]]).length && with_uids(inbox, [given[0]])[0].isFlagged);",
            9,
            count + 1,
        )

        moved = list(range(11, 111))
        user.do("await moved(inbox, with_uids(inbox, given[0]), folder_for('Archive'));", moved)
        assert flagged("ALL") == [uid for uid in range(1, count + 2) if uid not in moved]
        other.select_folder("Archive", readonly=True)
        rows = other.fetch(other.search(), ["BODY.PEEK[]", "FLAGS"])
        assert [row[b"BODY[]"] for row in rows.values()] == [letters[uid - 1] for uid in moved]
        assert all(b"\\Seen" in row[b"FLAGS"] for row in rows.values())

        user.do("await deleted(inbox, with_uids(inbox, given[0]));", [7, 8])
        assert other.folder_status("Trash", ["MESSAGES"]) == {b"MESSAGES": 2}

        assert "Größe" in user.do("await made_and_renamed('Projects', 'Größe'); return folders();")
        assert "Größe" in [name for _, _, name in other.list_folders()]
    user.do("await shown(given[0]);", shown)
    user.program.screenshot(Path(os.environ.get("MAILPOST_SCREENSHOT", user.program.folder / "screen.png")))
    assert "Traceback" not in filled.log.read_text()
