"""`mailpost serve-tests`: a throwaway server for tests in other languages, until its standard input ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred

from mailpost.service.parts import Parts
from mailpost.service.stores import memory_store
from mailpost.service.testcertificates import NoAuthorityError, authority
from mailpost.service.throwaway import AnyPassword, Endpoint, Everybody, endpoints, throwaway_server
from mailpost.service.transcripts import Transcripts


async def serve_tests(reactor: Any, options: Any) -> None:
    """Serve until standard input ends, or a signal comes."""
    try:
        trusted = authority()
    except NoAuthorityError:
        trusted = None
    everybody, transcripts = Everybody(), Transcripts()
    parts = Parts(
        store=memory_store(),
        certificate=trusted.certificate() if trusted else None,
        around=transcripts.around,
        transcripts=transcripts.all,
    )
    server = throwaway_server(reactor, parts, checkers=[AnyPassword(everybody)], everybody=everybody)
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    found = endpoints(server, trusted.ca_file if trusted else None)
    sys.stdout.write(_as_json(found) if options["json"] else _as_text(found))
    sys.stdout.flush()
    await _end_of_input(reactor)


def _end_of_input(reactor: Any) -> Deferred[None]:
    """Fires when nothing more can come from standard input, whatever it is: pipe, terminal, file."""
    ended: Deferred[None] = Deferred()

    def read() -> None:
        while os.read(0, 4096):
            pass
        reactor.callFromThread(ended.callback, None)

    Thread(target=read, name="mailpost-stdin", daemon=True).start()
    return ended


def _as_json(found: Mapping[str, Endpoint]) -> str:
    """One line of JSON."""
    told = {
        "endpoints": {each.name: {"host": each.host, "port": each.port, "url": each.url} for each in found.values()},
        "environment": {name: value for each in found.values() for name, value in each.environment().items()},
        "ca_file": _ca_file(found),
    }
    return f"{json.dumps(told)}\n"


def _as_text(found: Mapping[str, Endpoint]) -> str:
    """Lines for a person."""
    lines = [f"{each.name:12} {each.url}" for each in found.values()]
    ca_file = _ca_file(found)
    return "\n".join(
        [
            *lines,
            *([f"{'TLS by':12} {ca_file}"] if ca_file else []),
            "Any address is a user, by any password. Mail is in memory; the server ends with its standard input.",
            "",
        ]
    )


def _ca_file(found: Mapping[str, Endpoint]) -> str | None:
    files: list[Path] = [each.ca_file for each in found.values() if each.ca_file]
    return str(files[0]) if files else None
