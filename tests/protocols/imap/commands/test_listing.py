"""LIST, LSUB, NAMESPACE. RFC: 3501 §6.3.8, §6.3.9, 5258, 3348, 6154, 2342"""

import time

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.records import SpecialUse
from tests.protocols.imap.commands.dialogue import Client, account


def setting():
    made = account(1)
    for name in ("A/B/C", "A/D", "Foo Bar", "été"):
        made.create(name)
    made.create("Sent", SpecialUse.SENT)
    made.delete("A")
    for name in ("A/B/C", "Foo Bar"):
        made.subscribe(name, True)
    return made, Client(made)


def listed(client: Client, command: str) -> dict[bytes, bytes]:
    """Name -> attributes, of all LIST and LSUB lines."""
    lines = client.lines(command)
    assert lines.pop().startswith(b"a OK ")
    return {name: attributes for attributes, name in (line.split(b' "/" ') for line in lines)}


def test_all_folders():
    assert listed(setting()[1], 'LIST "" *') == {
        b"INBOX": b"* LIST (\\HasNoChildren)",
        b"A": b"* LIST (\\Noselect \\HasChildren)",
        b"A/B": b"* LIST (\\HasChildren)",
        b"A/B/C": b"* LIST (\\HasNoChildren)",
        b"A/D": b"* LIST (\\HasNoChildren)",
        b'"Foo Bar"': b"* LIST (\\HasNoChildren)",
        b"Sent": b"* LIST (\\HasNoChildren \\Sent)",
        b"&AOk-t&AOk-": b"* LIST (\\HasNoChildren)",
    }


def test_patterns_cover_the_whole_name():
    client = setting()[1]
    assert set(listed(client, 'LIST "" %')) == {b"INBOX", b"A", b'"Foo Bar"', b"Sent", b"&AOk-t&AOk-"}
    assert set(listed(client, 'LIST "" A/%')) == {b"A/B", b"A/D"}
    assert set(listed(client, "LIST A/ %")) == {b"A/B", b"A/D"}
    assert set(listed(client, 'LIST "" Foo')) == set()
    assert set(listed(client, 'LIST "" "foo bar"')) == set()
    assert set(listed(client, 'LIST "" inbox')) == {b"INBOX"}
    assert set(listed(client, 'LIST "" %/%/C')) == {b"A/B/C"}


def test_a_pattern_cannot_take_long():
    made = account()
    made.create("a" * 200)
    began = time.perf_counter()
    assert listed(Client(made), 'LIST "" "%s"' % ("a*" * 200 + "b")) == {}
    assert time.perf_counter() - began < 1


def test_the_separator():
    client = setting()[1]
    assert client.lines('LIST "" ""')[0] == b'* LIST (\\Noselect) "/" ""'
    assert client.lines('LIST A/ ""')[0] == b'* LIST (\\Noselect) "/" ""'


def test_extended_selection_and_return():
    made, client = setting()
    made.subscribe("été", True)
    made.delete("été")
    assert listed(client, 'LIST (SUBSCRIBED) "" *') == {
        b"INBOX": b"* LIST (\\HasNoChildren \\Subscribed)",
        b"A/B/C": b"* LIST (\\HasNoChildren \\Subscribed)",
        b'"Foo Bar"': b"* LIST (\\HasNoChildren \\Subscribed)",
        b"&AOk-t&AOk-": b"* LIST (\\NonExistent \\HasNoChildren \\Subscribed)",
    }
    assert listed(client, 'LIST (SPECIAL-USE) "" *') == {b"Sent": b"* LIST (\\HasNoChildren \\Sent)"}
    assert listed(client, 'LIST "" (INBOX A) RETURN (SUBSCRIBED CHILDREN)') == {
        b"INBOX": b"* LIST (\\HasNoChildren \\Subscribed)",
        b"A": b"* LIST (\\NonExistent \\HasChildren)",
    }


def test_recursive_match_tells_of_what_the_pattern_hides():
    client = setting()[1]
    assert client.lines('LIST (SUBSCRIBED RECURSIVEMATCH) "" %') == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        b'* LIST (\\NonExistent \\HasChildren) "/" A ("CHILDINFO" ("SUBSCRIBED"))',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "Foo Bar"',
        b"a OK LIST completed",
    ]
    assert client.says('LIST (RECURSIVEMATCH) "" %').startswith(b"a BAD ")


def test_counts_may_come_with_the_list():
    made, client = setting()
    assert client.lines('LIST "" (INBOX A) RETURN (STATUS (MESSAGES))') == [
        b'* LIST (\\HasNoChildren) "/" INBOX',
        b"* STATUS INBOX (MESSAGES 1)",
        b'* LIST (\\NonExistent \\HasChildren) "/" A',
        b"a OK LIST completed",
    ]

    def status(name):
        raise MailError(ErrorKind.NO_SUCH_FOLDER, "gone")

    made.status = status
    assert client.lines('LIST "" INBOX RETURN (STATUS (MESSAGES))')[1:] == [b"a OK LIST completed"]


def test_lsub():
    made, client = setting()
    made.subscribe("été", True)
    made.delete("été")
    assert listed(client, 'LSUB "" *') == {
        b"INBOX": b"* LSUB ()",
        b"A/B/C": b"* LSUB ()",
        b'"Foo Bar"': b"* LSUB ()",
        b"&AOk-t&AOk-": b"* LSUB ()",
    }
    assert listed(client, 'LSUB "" A/*') == {b"A/B/C": b"* LSUB ()"}
    # A name above a subscribed one is shown to who asks level by level.
    assert listed(client, 'LSUB "" %')[b"A"] == b"* LSUB (\\Noselect)"
    assert listed(client, "LSUB A/ %") == {b"A/B": b"* LSUB (\\Noselect)"}
    made.subscribe("A/B", True)
    assert listed(client, 'LSUB "" A/%') == {b"A/B": b"* LSUB ()"}


def test_namespace():
    assert setting()[1].lines("NAMESPACE")[0] == b'* NAMESPACE (("" "/")) NIL NIL'
