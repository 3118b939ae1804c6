"""`mailpost queue`: what waits to be sent, beside a running server or without one."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Any

from mailpost.admin.errors import CommandError
from mailpost.delivery.outgoing.files import QueueFiles
from mailpost.delivery.outgoing.records import CorruptError, Envelope
from mailpost.service.configfile import load
from mailpost.service.sending import queue_files

_SHOWN = 64 << 10
"""Octets of the header that are looked for its end."""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _queue(options: Any) -> QueueFiles:
    return queue_files(load(options["config"]))


def list_queue(reactor: Any, options: Any) -> None:
    """`mailpost queue list`."""
    files = _queue(options)
    count = 0
    for name in files.names():
        try:
            found = files.envelope(name)
        except CorruptError as problem:
            _say(f"{name}  damaged: {problem}")
            continue
        if found is None:  # sent just now
            continue
        count += 1
        envelope, due = found
        _say(
            f"{name}  {_when(envelope.arrived)}  {envelope.size:9} octets  <{envelope.sender.address}>"
            f"  {_attempts(envelope)}, next {_when(due)}"
        )
        for each in envelope.recipients:
            reason = f"  {each.last.text}" if each.last is not None else ""
            _say(f"    {each.path.address}{reason}")
    _say(f"{count} {'message' if count == 1 else 'messages'} in the queue")


def show(reactor: Any, options: Any) -> None:
    """`mailpost queue show`: all that is known of a message, and its header."""
    files, (name,) = _queue(options), options["names"]
    try:
        found = files.envelope(name)
    except CorruptError as problem:
        raise CommandError(f"{name} is damaged: {problem}") from None
    if found is None:
        raise CommandError(f"there is no message {name} in the queue")
    envelope, due = found
    _say(f"message   {name}, {envelope.size} octets, in {files.root}")
    _say(f"from      <{envelope.sender.address}>{f', user {envelope.user}' if envelope.user else ''}")
    _say(f"arrived   {_when(envelope.arrived)}")
    _say(f"attempts  {_attempts(envelope)}{f', last {_when(envelope.attempted)}' if envelope.attempted else ''}")
    _say(f"next      {_when(due)}")
    for each in envelope.recipients:
        _say(f"to        {each.path.address}")
        if each.last is not None:
            _say(f"          {each.last.host or 'this server'}: {each.last.text}")
    try:
        message = files.open_message(name)
    except FileNotFoundError:
        raise CommandError(f"message {name} is gone, or was sent just now") from None
    try:
        header = message.read(0, _SHOWN).partition(b"\r\n\r\n")[0]
    finally:
        message.close()
    _say("")
    _say(header.decode(errors="replace").replace("\r\n", "\n"))


def retry(reactor: Any, options: Any) -> None:
    """`mailpost queue retry`: a running server sends them within a second or two."""
    files = _queue(options)
    names = files.names() if options["all"] else options["names"]
    missing = [name for name in names if not files.retry(name, time.time())]
    files.wake()
    _say(f"{len(names) - len(missing)} to be sent again now")
    if missing and not options["all"]:
        raise CommandError(f"not in the queue: {', '.join(missing)}")


def remove(reactor: Any, options: Any) -> None:
    """`mailpost queue remove`: nobody is told."""
    files = _queue(options)
    names = files.names() if options["all"] else options["names"]
    missing = [name for name in names if not files.remove(name)]
    _say(f"{len(names) - len(missing)} removed")
    if missing and not options["all"]:
        raise CommandError(f"not in the queue: {', '.join(missing)}")


def _attempts(envelope: Envelope) -> str:
    return "not tried yet" if not envelope.attempts else f"tried {envelope.attempts}x"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
