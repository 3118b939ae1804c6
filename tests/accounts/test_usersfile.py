"""What the text of a users file means."""

from __future__ import annotations

from mailpost.accounts.usersfile import parse
from mailpost.accounts.verifiers import beside

TEXT = """\
# people
joe:{PLAIN}secret:1000:1000::/home/joe::userdb_mail=maildir:~/Maildir allow_nets=127.0.0.0/8

ann:{PLAIN}word
bad/name:{PLAIN}x
old:{MD5}x
gone:!{PLAIN}x::::::
shadow:x:1:1
none
off:{PLAIN}x::::::nologin=y
joe:{PLAIN}again
kurt:{PLAIN}x\r
"""

HASH = "{PBKDF2}$1$salt$50000$" + "0" * 40


def test_bad_lines_are_warnings_and_take_nobody_down() -> None:
    listing = parse(TEXT)
    passwords = {user.name: user.password for user in listing.users.values()}
    assert passwords == {
        "joe": "{PLAIN}secret", "ann": "{PLAIN}word", "gone": "", "shadow": "", "off": "",
        "kurt": "{PLAIN}x",
    }  # fmt: skip
    assert [warning.partition(":")[0] for warning in listing.warnings] == ["line 5", "line 6", "line 9", "line 11"]
    assert "no password" in listing.warnings[2]
    assert "listed twice" in listing.warnings[3]


def test_a_changed_hash_makes_the_verifiers_void() -> None:
    text = f"ann:{HASH}\n#mailpost_scram:ann:{beside(HASH, b'x')}\n"
    assert len(parse(text).users["ann"].verifiers) == 2
    assert parse(text.replace("ann:{PBKDF2}", "ann:{PLAIN}")).users["ann"].verifiers == ()


def test_what_a_line_says_of_sending() -> None:
    hashed = "{PBKDF2}$1$none$50000$" + "0" * 40
    lines = [
        f"ann:{hashed}::::::mailpost_senders=Sales@Example.org,@ann.example,, mailpost_sent_copies=no",
        "bob:!::::::mailpost_sent_copies=Yes",
        f"cleo:{hashed}::::::mailpost_sent_copies=perhaps",
    ]
    users = parse("\n".join(lines)).users
    assert users["ann"].senders == {"sales@example.org", "@ann.example"}
    assert (users["bob"].password, users["bob"].sent_copies, users["bob"].senders) == ("", True, frozenset())
    assert [users[name].sent_copies for name in ("ann", "cleo")] == [False, None]
