"""Commands for every state: CAPABILITY, NOOP, CHECK, LOGOUT, ID; and ENABLE.

RFC: 3501 §6.1, §6.4.1, 9051 §6.1, 2971 (ID), 5161 (ENABLE)
"""

from __future__ import annotations

from twisted.logger import Logger

from mailpost._version import __version__
from mailpost.protocols.imap.commands.context import Completed, Context
from mailpost.wire.imap.commands import Capability, Check, Enable, Id, Logout, Noop

log = Logger()

ENABLABLE = frozenset({"CONDSTORE"})
"""What ENABLE switches on; it passes over everything else. RFC: 5161 §3.1"""

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
    """ENABLE. RFC: 5161 §3.1"""
    new = [name for name in dict.fromkeys(command.capabilities) if name in ENABLABLE and name not in context.enabled]
    context.enabled.update(new)
    context.write(b" ".join([b"* ENABLED", *(name.encode() for name in new)]) + b"\r\n")


def _short(value: bytes | None) -> str:
    return (value or b"")[:LONGEST_ID_VALUE].decode("utf-8", "backslashreplace")
