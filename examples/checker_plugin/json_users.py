"""Users in a JSON file, as a checker for `twistd mailpost --auth json-users:FILE`.

The file has a name and what scrypt made of its password for each user, both in hexadecimal digits:

    {"ann": {"salt": "00ff...", "key": "12ab..."}}

`python json_users.py ann FILE` asks for a password and writes it there. It is put in the path of Python, and the folder
`twisted/plugins` beside it tells Twisted of it:

    PYTHONPATH=examples/checker_plugin twistd -n mailpost --config mailpost.toml --auth json-users:users.json
"""

import getpass
import hmac
import json
import os
import sys
from hashlib import scrypt
from pathlib import Path

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.threads import deferToThread
from zope.interface import implementer


def key_of(password, salt):
    return scrypt(password, salt=salt, n=2**14, r=8, p=1, dklen=32)


@implementer(ICredentialsChecker)
class JsonUsers:
    """Lets in who is in the file."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, path):
        self._path = Path(path)

    def requestAvatarId(self, credentials):
        return deferToThread(self._check, credentials.username, credentials.password)

    def _check(self, name, password):
        """In a thread: it reads a file, and scrypt takes its time."""
        users = json.loads(self._path.read_text())
        user = users.get(name.decode(errors="replace"))
        known = user or {"salt": "00", "key": "00"}  # it takes as long for a name that nobody has
        key = key_of(password, bytes.fromhex(known["salt"]))
        if user is None or not hmac.compare_digest(key, bytes.fromhex(known["key"])):
            raise UnauthorizedLogin("wrong name or password")
        return name


def add(path, name, password):
    """Put a user into the file."""
    users = json.loads(path.read_text()) if path.exists() else {}
    salt = os.urandom(16)
    users[name] = {"salt": salt.hex(), "key": key_of(password.encode(), salt).hex()}
    path.write_text(json.dumps(users, indent=4))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} NAME FILE")
    add(Path(sys.argv[2]), sys.argv[1], getpass.getpass())
