"""`mailpost serve-tests`: a throwaway server for tests in other languages, until its standard input ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from mailpost.admin.errors import CommandError
from mailpost.service.parts import Parts
from mailpost.service.stores import memory_store
from mailpost.service.testcertificates import NoAuthorityError, TrustedAuthority, authority
from mailpost.service.throwaway import AnyPassword, Endpoint, Everybody, endpoints, throwaway_server
from mailpost.service.transcripts import Transcripts

if TYPE_CHECKING:
    from mailpost.faults.injector import Faults


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
    faults = None
    if options["faults"] is not None:
        faults, parts = _with_faults(options["faults"], parts, trusted, transcripts)
    server = throwaway_server(reactor, parts, checkers=[AnyPassword(everybody)], everybody=everybody)
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    found = endpoints(server, trusted.ca_file if trusted else None)
    sys.stdout.write(_as_json(found, faults) if options["json"] else _as_text(found, faults))
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


def _with_faults(
    path: Path, parts: Parts, trusted: TrustedAuthority | None, transcripts: Transcripts
) -> tuple[Faults, Parts]:
    """The rules of a file, and the parts of a server that misbehaves by them. Raises CommandError."""
    # Programs start this command often, seldom with faults.
    from mailpost.faults.certificates import FaultyCertificate  # noqa: PLC0415
    from mailpost.faults.fault import FaultError  # noqa: PLC0415
    from mailpost.faults.injector import Faults  # noqa: PLC0415

    try:
        faults = Faults(path, note=transcripts.note)
    except FaultError as problem:
        raise CommandError(str(problem)) from None

    def around(protocol: str, factory: Any) -> Any:
        return transcripts.around(protocol, faults.around(protocol, factory))

    certificate = FaultyCertificate(trusted, faults) if trusted else None
    return faults, replace(parts, certificate=certificate, around=around)


def _as_json(found: Mapping[str, Endpoint], faults: Faults | None) -> str:
    """One line of JSON."""
    told: dict[str, Any] = {
        "endpoints": {each.name: {"host": each.host, "port": each.port, "url": each.url} for each in found.values()},
        "environment": {name: value for each in found.values() for name, value in each.environment().items()},
        "ca_file": _ca_file(found),
    }
    if faults is not None:
        told["faults"] = {"rules": [str(rule.fault) for rule in faults], "seeds": faults.seeds}
    return f"{json.dumps(told)}\n"


def _as_text(found: Mapping[str, Endpoint], faults: Faults | None) -> str:
    """Lines for a person."""
    lines = [f"{each.name:12} {each.url}" for each in found.values()]
    ca_file = _ca_file(found)
    return "\n".join(
        [
            *lines,
            *([f"{'TLS by':12} {ca_file}"] if ca_file else []),
            *(f"{'fault':12} {rule.fault}" for rule in faults or ()),
            "Any address is a user, by any password. Mail is in memory; the server ends with its standard input.",
            "",
        ]
    )


def _ca_file(found: Mapping[str, Endpoint]) -> str | None:
    files: list[Path] = [each.ca_file for each in found.values() if each.ca_file]
    return str(files[0]) if files else None
