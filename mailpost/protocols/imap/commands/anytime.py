"""Commands for every state: CAPABILITY, NOOP, CHECK, LOGOUT, ID; and ENABLE, COMPRESS.

RFC: 3501 §6.1, §6.4.1, 9051 §6.1, 2971 (ID), 5161 (ENABLE), 4978 (COMPRESS)
"""

from __future__ import annotations

from twisted.logger import Logger

from mailpost._version import __version__
from mailpost.protocols.imap.commands.context import Completed, Context, knows_modseqs
from mailpost.wire.imap.commands import Capability, Check, Compress, Enable, Id, Logout, Noop

log = Logger()

ENABLABLE = {
    "CONDSTORE": b"CONDSTORE",
    "QRESYNC": b"QRESYNC",
    "IMAP4REV2": b"IMAP4rev2",
    "UTF8=ACCEPT": b"UTF8=ACCEPT",
    "UIDONLY": b"UIDONLY",
}
"""What ENABLE switches on; it passes over everything else.

RFC: 5161 §3.1, 7162 §3.2.3, 9051 §6.3.1, 6855 §3, 9586 §3
"""
_OF_STORES = frozenset({"CONDSTORE", "QRESYNC"})

LONGEST_ID_VALUE = 128
"""Octets of a client's ID value that go into the log."""


async def capability(context: Context, _: Capability) -> None:
    """CAPABILITY. RFC: 3501 §6.1.1"""
    context.write(b"* CAPABILITY %b\r\n" % b" ".join(context.capabilities()))


async def noop(_: Context, __: Noop | Check) -> None:
    """NOOP and CHECK: what has changed is reported with every answer. RFC: 3501 §6.1.2, §6.4.1"""


async def logout(context: Context, _: Logout) -> None:
    """LOGOUT. RFC: 3501 §6.1.3"""
    context.bye(b"Logging out")


async def identify(context: Context, command: Id) -> Completed | None:
    """ID: what the client says goes into the log. RFC: 2971 §3.1"""
    if command.fields:
        log.debug("IMAP client is {fields}", fields=[(_short(key), _short(value)) for key, value in command.fields])
    context.write(b'* ID ("name" "mailpost" "version" "%b")\r\n' % __version__.encode())
    return None


async def enable(context: Context, command: Enable) -> None:
    """ENABLE. Who is to be told of mod-sequences from now on learns the highest. RFC: 5161 §3.1, 7162 §3.1"""
    lacks = getattr(context.account, "lacks", ())
    new = [name for name in dict.fromkeys(command.capabilities) if name in ENABLABLE and name not in context.enabled]
    new = [name for name in new if not (name in _OF_STORES and name in lacks)]
    context.write(b" ".join([b"* ENABLED", *(ENABLABLE[name] for name in new)]) + b"\r\n")
    if not _OF_STORES.isdisjoint(new):
        knows_modseqs(context)
    context.enabled.update(new)


async def compress(context: Context, _: Compress) -> Completed:
    """COMPRESS. RFC: 4978 §3"""
    context.compress()
    return Completed(b"DEFLATE active")


def _short(value: bytes | None) -> str:
    return (value or b"")[:LONGEST_ID_VALUE].decode("utf-8", "backslashreplace")
