from __future__ import annotations

import email
import email.policy

from twisted.trial.unittest import TestCase

from mailpost.service.demo import USER, fill
from mailpost.service.democontent import messages
from mailpost.storage.memory.store import MemoryStore
from mailpost.wire.imap.structures import summarise


def test_there_is_some_of_everything() -> None:
    made = messages(1_700_000_000)
    assert len(made) >= 40
    assert len({each.folder for each in made}) >= 6
    assert any(not folder.isascii() for folder in {each.folder for each in made})
    assert all(b"\n" not in each.octets.replace(b"\r\n", b"") for each in made)
    assert [each.date for each in made] == sorted(each.date for each in made)
    assert made[-1].date < 1_700_000_000
    flags = frozenset[str]().union(*(each.flags for each in made))
    assert {"\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Forwarded"} <= flags
    assert any(not each.flags for each in made)
    parsed = [email.message_from_bytes(each.octets, policy=email.policy.default) for each in made]
    types = {part.get_content_type() for message in parsed for part in message.walk()}
    assert {"text/plain", "text/html", "image/png", "application/zip", "text/calendar", "message/rfc822"} <= types
    assert {"multipart/alternative", "multipart/related", "multipart/report", "multipart/digest"} <= types
    charsets = {part.get_content_charset() for message in parsed for part in message.walk()}
    assert {"iso-2022-jp", "koi8-r", "utf-8", "iso-8859-8", "gb18030", "iso-8859-1"} <= charsets
    assert any(any(octet > 127 for octet in each.octets) for each in made), "8-bit"
    assert max(len(each.octets) for each in made) > 200_000
    assert len([message for message in parsed if "The fence" in message.get("subject", "")]) >= 5
    assert any(message.get_filename() for whole in parsed for message in whole.walk())


class Tests(TestCase):
    async def test_the_account_is_filled_once(self) -> None:
        store = MemoryStore(summarise)
        made = await fill(store)
        account = store.account(USER)
        counts = {
            folder.name: account.status(folder.name).messages for folder in account.folders() if folder.selectable
        }
        self.assertEqual(sum(counts.values()), made)
        self.assertGreaterEqual(made, 40)
        self.assertLessEqual({"INBOX", "Languages/日本語", "Sent", "Drafts"}, set(counts))
        self.assertIn("Lists/Garden", account.subscriptions())
        self.assertEqual(await fill(store), 0)
