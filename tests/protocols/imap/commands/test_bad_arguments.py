"""What each extension's commands refuse: arguments that its grammar does not have.

The answer is BAD, nothing else is said, and neither the mail nor what is enabled has changed. The extension is enabled
before, where it can be. That the commands themselves need their states is in `test_wrong_states`.

RFC: 3516 §7, 3502 §6, 4469 §6, 4978 §5, 5161 §4, 5258 §6, 5819 §3, 6154 §6, 6855 §4, 7162 §7, 8438, 8474 §6, 8508 §6,
8514 §5, 8970 §5, 9208 §6, 9394 §4, 9586 §4, 2177, 2971 §4, 4315 §4, 6851 §4, 5182 §3, 4731 §4
"""

from __future__ import annotations

import pytest

from mailpost.protocols.imap.capabilities import ALWAYS, OF_STORES
from tests.protocols.imap.commands.dialogue import Client, account

BAD: dict[str, tuple[str, ...]] = {
    "BINARY": (
        *("FETCH 1 BINARY", "FETCH 1 BINARY[", "FETCH 1 BINARY[0]", "FETCH 1 BINARY[1.]", "FETCH 1 BINARY[HEADER]"),
        *("FETCH 1 BINARY[1.MIME]", "FETCH 1 BINARY[1]<0>", "FETCH 1 BINARY[1]<1.0>", "FETCH 1 BINARY.SIZE[1]<0.1>"),
        *("FETCH 1 BINARY.PEEK.SIZE[1]", "FETCH 1 BINARY.SIZE", "FETCH 1 BINARY[TEXT]"),
    ),
    "CATENATE": (
        *("APPEND INBOX CATENATE ()", "APPEND INBOX CATENATE (URL)", "APPEND INBOX CATENATE URL /INBOX/;UID=1"),
        *("APPEND INBOX CATENATE (TEXT x)", "APPEND INBOX CATENATE (FILE x)", "APPEND INBOX CATENATE"),
        *("APPEND INBOX CATENATE (URL /INBOX/;UID=1", "APPEND INBOX CATENATE (URL a URL b) x", "APPEND INBOX (URL a)"),
    ),
    "COMPRESS": ("COMPRESS", "COMPRESS GZIP", "COMPRESS DEFLATE 9", "COMPRESS (DEFLATE)", 'COMPRESS "DEFLATE"'),
    "CONDSTORE": (
        *("FETCH 1 FLAGS (CHANGEDSINCE)", "FETCH 1 FLAGS (CHANGEDSINCE x)", "FETCH 1 FLAGS CHANGEDSINCE 1"),
        *("FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)", "FETCH 1 FLAGS (UNCHANGEDSINCE 1)", "FETCH 1 MODSEQ 1"),
        *("STORE 1 (UNCHANGEDSINCE) FLAGS ()", "STORE 1 (UNCHANGEDSINCE -1) FLAGS ()", "STORE 1 () FLAGS ()"),
        *(
            "STORE 1 UNCHANGEDSINCE 1 FLAGS ()",
            "STORE 1 (CHANGEDSINCE 1) FLAGS ()",
            "STORE 1 (UNCHANGEDSINCE 1 2) FLAGS ()",
        ),
        *("SEARCH MODSEQ", "SEARCH MODSEQ x", 'SEARCH MODSEQ "/flags/\\\\Seen" 1', 'SEARCH MODSEQ "x" most 1'),
        *("SELECT INBOX (CONDSTORE", "SELECT INBOX CONDSTORE", "SELECT INBOX (CONDSTORE 1)", "STATUS INBOX (MODSEQ)"),
    ),
    "CREATE-SPECIAL-USE": (
        *("CREATE New (USE)", "CREATE New (USE \\Sent)", "CREATE New USE (\\Sent)", "CREATE New (USE (Sent))"),
        *("CREATE New ()", "CREATE New (FOR (\\Sent))", "CREATE New (USE (\\Sent)", "CREATE New (USE (\\Sent)) x"),
    ),
    "ENABLE": ("ENABLE", "ENABLE (QRESYNC)", 'ENABLE "QRESYNC"', "ENABLE QRESYNC  CONDSTORE"),
    "ESEARCH": (
        *("SEARCH RETURN", "SEARCH RETURN ALL", "SEARCH RETURN (ALL", "SEARCH RETURN (ALL)", "SEARCH RETURN (SUM) ALL"),
        *("SEARCH RETURN (MIN,MAX) ALL", "SEARCH RETURN (MIN ) ALL", "SEARCH ALL RETURN (MIN)"),
    ),
    "ID": ("ID", "ID ()x", 'ID ("name")', "ID (name x)", 'ID "name" "x"', 'ID ((("name" "x")))', 'ID ("name" ("x"))'),
    "IDLE": ("IDLE x", "IDLE ()"),
    "LIST-EXTENDED": (
        *(
            'LIST (SUBSCRIBED "" *',
            'LIST (NONE) "" *',
            'LIST (RECURSIVEMATCH) "" *',
            'LIST (RECURSIVEMATCH REMOTE) "" *',
        ),
        *('LIST "" ()', 'LIST "" (a', 'LIST "" * RETURN', 'LIST "" * RETURN CHILDREN', 'LIST "" * RETURN (NONE)'),
        *('LIST "" * (CHILDREN)', 'LIST "" (a b', 'LIST () "" * RETURN (CHILDREN) x'),
    ),
    "LIST-STATUS": (
        *('LIST "" * RETURN (STATUS)', 'LIST "" * RETURN (STATUS ())', 'LIST "" * RETURN (STATUS MESSAGES)'),
        *('LIST "" * RETURN (STATUS (NONE))', 'LIST "" * RETURN (STATUS (MESSAGES)'),
    ),
    "MOVE": ("MOVE", "MOVE 1", "MOVE INBOX 1", "MOVE 1 INBOX x", "UID MOVE", "UID MOVE 1", "UID MOVE 1 (INBOX)"),
    "MULTIAPPEND": (
        *("APPEND INBOX {1+}\r\na{1+}\r\nb", "APPEND INBOX {1+}\r\na (\\Seen)", "APPEND INBOX {1+}\r\na x {1+}\r\nb"),
        *("APPEND INBOX {1+}\r\na  {1+}\r\nb",),
    ),
    "NAMESPACE": ('NAMESPACE ""', "NAMESPACE ()"),
    "OBJECTID": (
        *("FETCH 1 MAILBOXID", "FETCH 1 EMAILID ()", "FETCH 1 (EMAILID 1)", "SEARCH EMAILID", "SEARCH THREADID ()"),
        *('SEARCH EMAILID "a b"', "STATUS INBOX (EMAILID)", "STATUS INBOX (MAILBOXID ())", 'SEARCH THREADID "ä"'),
    ),
    "PARTIAL": (
        *("SEARCH RETURN (PARTIAL) ALL", "SEARCH RETURN (PARTIAL 0:1) ALL", "SEARCH RETURN (PARTIAL 1:-1) ALL"),
        *("SEARCH RETURN (PARTIAL 1) ALL", "SEARCH RETURN (PARTIAL 1:2 ALL) ALL", "SEARCH RETURN (PARTIAL 1,2) ALL"),
        *("UID FETCH 1 FLAGS (PARTIAL)", "UID FETCH 1 FLAGS (PARTIAL 1:*)", "FETCH 1 FLAGS (PARTIAL 1:2)"),
        *("UID FETCH 1 FLAGS PARTIAL 1:2", "SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL"),
    ),
    "PREVIEW": ("FETCH 1 (PREVIEW ())", "FETCH 1 (PREVIEW LAZY)", "FETCH 1 PREVIEW (FUZZY)", "FETCH 1 PREVIEW[]"),
    "QRESYNC": (
        *(
            "SELECT INBOX (QRESYNC)",
            "SELECT INBOX (QRESYNC 1 1)",
            "SELECT INBOX (QRESYNC (1))",
            "SELECT INBOX (QRESYNC (0 1))",
        ),
        *("SELECT INBOX (QRESYNC (1 0))", "SELECT INBOX (QRESYNC (1 1 *))", "SELECT INBOX (QRESYNC (1 1 1:*))"),
        *("SELECT INBOX (QRESYNC (1 1 $))", "SELECT INBOX (QRESYNC (1 1 1 (1)))", "SELECT INBOX (QRESYNC (1 1 (1 *)))"),
        *(
            "SELECT INBOX (QRESYNC (1 1 1 (1 1) 1))",
            "SELECT INBOX (QRESYNC (1 1 (1:2 1)))",
            "EXAMINE INBOX (QRESYNC (1 x))",
        ),
        *("FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1 FLAGS (VANISHED)", "UID FETCH 1 FLAGS (VANISHED 1)"),
    ),
    "QUOTA": ("GETQUOTA", 'GETQUOTA "" x', "GETQUOTA ()", "GETQUOTAROOT", "GETQUOTAROOT INBOX x", "GETQUOTAROOT ()"),
    "REPLACE": (
        *("REPLACE", "REPLACE 1", "REPLACE 1 INBOX", "REPLACE 1:2 INBOX {1+}\r\nx", "REPLACE 0 INBOX {1+}\r\nx"),
        *(
            "REPLACE 1 INBOX x",
            "UID REPLACE 1,2 INBOX {1+}\r\nx",
            "REPLACE 1 INBOX (\\Seen)",
            "REPLACE $ INBOX {1+}\r\nx",
        ),
        *("REPLACE 1 INBOX {1+}\r\nx {1+}\r\ny", "REPLACE 9 INBOX {1+}\r\nx"),
    ),
    "SAVEDATE": (
        *("FETCH 1 SAVEDATE ()", "SEARCH SAVEDON", "SEARCH SAVEDON x", "SEARCH SAVEDBEFORE 31-Feb-2020"),
        *("SEARCH SAVEDSINCE ALL", "SEARCH SAVEDATESUPPORTED x"),
    ),
    "SEARCHRES": (
        *("SEARCH RETURN (SAVE", "SEARCH RETURN (SAVE)", "FETCH $,1 FLAGS", "FETCH $:1 FLAGS", "STORE $$ FLAGS ()"),
        *("SEARCH $,1", "COPY 1,$ INBOX"),
    ),
    "SPECIAL-USE": (
        *("LIST (SPECIAL-USE", 'LIST (SPECIAL_USE) "" *', 'LIST "" * RETURN (SPECIAL-USE', 'LIST SPECIAL-USE "" *'),
    ),
    "STATUS=SIZE": ("STATUS INBOX (SIZE", "STATUS INBOX SIZE", "STATUS INBOX (SIZE 1)", "STATUS INBOX (SIZES)"),
    "UIDONLY": ("UID FETCH", "UID FETCH x FLAGS", "UID STORE 1", "UID FETCH 1 UIDONLY", "UID SEARCH RETURN (UID) ALL"),
    "UIDPLUS": ("UID EXPUNGE", "UID EXPUNGE x", "UID EXPUNGE 0", "UID EXPUNGE 1 2", "EXPUNGE 1", "UID EXPUNGE (1)"),
    "UNAUTHENTICATE": ("UNAUTHENTICATE x", "UNAUTHENTICATE ()"),
    "UNSELECT": ("UNSELECT x", "UNSELECT INBOX"),
    "UTF8=ACCEPT": (
        *(
            "APPEND INBOX UTF8",
            "APPEND INBOX UTF8 ()",
            "APPEND INBOX UTF8 (~{1+}\r\nx",
            "APPEND INBOX UTF8 ({1+}\r\nx)",
        ),
        *("APPEND INBOX UTF8 ~{1+}\r\nx", "SEARCH CHARSET UTF-8 ALL"),
    ),
}
"""By extension."""
ENABLED = {
    "CONDSTORE": "CONDSTORE",
    "QRESYNC": "QRESYNC",
    "UIDONLY": "UIDONLY",
    "UTF8=ACCEPT": "UTF8=ACCEPT",
}


def mail_of(made) -> list[object]:
    return [
        (folder, live.uids[:], live.flags[:], live.highest_modseq)
        for folder in made.folders()
        for live in [made.open(folder.name).live]
    ]


@pytest.mark.parametrize(("extension", "line"), [(name, line) for name, lines in BAD.items() for line in lines])
def test_arguments_that_the_grammar_does_not_have(extension: str, line: str) -> None:
    made = account(3)
    client = Client(made)
    if extension in ENABLED:
        client.says(f"ENABLE {ENABLED[extension]}")
    client.says("SELECT INBOX")
    before, enabled = mail_of(made), set(client.enabled)
    answer = client.lines(line)
    assert len(answer) == 1, answer
    assert answer[0].startswith(b"a BAD "), answer
    assert (mail_of(made), client.enabled) == (before, enabled)
    assert client.selected is not None
    assert client.lines("NOOP") == [b"a OK NOOP completed"]


def test_every_extension_that_has_arguments_is_here() -> None:
    without = {
        "CHILDREN": "a word of LIST, see LIST-EXTENDED",
        "IMAP4rev2": "a word of ENABLE, and the sum of the others",
        "INPROGRESS": "told by the server alone",
        "LITERAL+": "see tests/wire/imap/test_decoder.py",
        "SASL-IR": "see tests/protocols/test_sasl.py and test_wrong_states",
    }
    names = {
        name.partition("=")[0] if name.startswith(("QUOTA=", "COMPRESS=")) else name for name in ALWAYS + OF_STORES
    }
    assert names - without.keys() <= BAD.keys(), names - without.keys() - BAD.keys()
