"""Which folder of the file system a user's mail is in: a pattern with the name put in."""

from __future__ import annotations

import re
from pathlib import Path

from mailpost.accounts.account import UserNameError, checked_user

_PLACEHOLDER = re.compile(r"\{(?:user|local|domain)\}")


def place(pattern: str, user: str) -> Path:
    """The pattern with {user}, {local} and {domain} replaced.

    Args:
        pattern: an absolute path; see `service.config.Storage.maildir`.
        user: a user's name; "@" and what follows it, from the last "@" on, is the domain.

    Raises:
        UserNameError: the name, or a part of it that the pattern wants, cannot be the name of a folder.
    """
    checked_user(user)
    local, at, domain = user.rpartition("@") if "@" in user else (user, "", "")
    for name, part in (("{local}", local), ("{domain}", domain)):
        if name in pattern:
            if name == "{domain}" and not at:
                raise UserNameError('mail is kept by domain here: a user name must have "@" and a domain')
            checked_user(part)
    pieces = {"{user}": user, "{local}": local, "{domain}": domain}
    return Path(_PLACEHOLDER.sub(lambda found: pieces[found.group()], pattern))
