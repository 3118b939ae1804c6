"""`twistd mailpost`: the options, and the service made from them.

Nothing is bound and no thread is made before the service starts: twistd forks in between.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import IService, MultiService
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.logger import ILogObserver, Logger, textFileLogObserver
from twisted.python import usage
from twisted.python.components import Componentized

from mailpost.service.config import ConfigError
from mailpost.service.configfile import load
from mailpost.service.demo import DEFAULT_FOLDER, DemoServer, demo_config, demo_server
from mailpost.service.logwriter import log_writer
from mailpost.service.server import CannotStartError, MailServer

SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter while others want it (Python: 0.005): the reactor waits so long for it
several times in a turn, and with it everybody whose answer is ready."""

KEPT_MEMORY = 8 << 20
"""Octets of freed memory that a thread may keep."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

COLLECTOR_THRESHOLDS = (5_000, 10, 10)
"""When the garbage collector looks at new and older objects (Python: 700, 10, 10). Rows of a large folder are many
objects at once and no garbage."""


class Options(usage.Options, AuthOptionMixin):
    """What can stand behind `twistd mailpost`."""

    synopsis = "[--config FILE [--check] | --demo [--data DIR]] [--auth TYPE[:ARGUMENTS]]..."
    longdesc = (
        "Serves mail in Maildirs over IMAP and POP3. `twistd -n mailpost --demo` shows it without any configuration."
    )
    optFlags = [
        ["check", None, "Say what is wrong with the configuration, or what would be listened on, and exit."],
        ["demo", None, "Serve a demonstration account on loopback; user demo, password demo."],
        ["sample", None, "Print a configuration file with a word on every key, and exit."],
    ]
    optParameters = [
        ["config", "c", None, "The configuration file.", Path],
        ["data", None, None, "Where --demo keeps its mail; mailpost-demo in the current directory if not given.", Path],
    ]
    compData = usage.Completions(optActions={"config": usage.CompleteFiles("*.toml"), "data": usage.CompleteDirs()})
    supportedInterfaces = (IUsernamePassword,)

    def postOptions(self) -> None:
        """Read the configuration; `--check` and `--sample` end here."""
        if self["sample"]:
            from mailpost.service.sample import sample

            sys.stdout.write(sample())
            raise SystemExit(0)
        if self["demo"] == bool(self["config"]):
            raise usage.UsageError("give --config FILE, or --demo")
        if self["data"] and not self["demo"]:
            raise usage.UsageError("--data goes with --demo")
        if self["check"] and self["demo"]:
            raise usage.UsageError("--check goes with --config")
        if self["config"]:
            try:
                self.configuration = load(self["config"])
                if self["check"]:
                    self._check()
            except ConfigError as problem:
                refuse(problem)

    def _check(self) -> NoReturn:
        from twisted.internet import reactor

        from mailpost.service.assembly import survey

        sys.stdout.write("".join(f"{line}\n" for line in survey(self.configuration, reactor, self.checkers)))
        raise SystemExit(0)

    @property
    def checkers(self) -> Sequence[Any]:
        """What --auth has named."""
        return tuple(self.get("credCheckers", ()))


def refuse(problem: Exception) -> NoReturn:
    """Say on the terminal why there will be no server, and end with exit code 1."""
    print(problem, file=sys.__stderr__)
    raise SystemExit(1)


def makeService(options: Options) -> IService:
    """The server that these options ask for."""
    from twisted.internet import reactor

    from mailpost.service.assembly import build

    sys.setswitchinterval(SWITCH_SECONDS)
    keep_memory()
    steady(reactor)
    try:
        if not options["demo"]:
            return Started(build(options.configuration, reactor, options.checkers), reactor, options)
        folder = (options["data"] or Path(DEFAULT_FOLDER)).absolute()
        server = demo_server(demo_config(folder), reactor, options.checkers)
        return Started(DemoServer(server, reactor, folder), reactor, options)
    except (ConfigError, OSError) as problem:
        refuse(problem)


def keep_memory() -> None:
    """Let the C library keep some of what was freed, where it can be told to (glibc). Messages come and go by the
    hundred kilobytes, and the system takes longer to give each page anew than copying it takes.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, KEPT_MEMORY // 2)
        mallopt(_M_TRIM_THRESHOLD, KEPT_MEMORY)


def steady(reactor: Any) -> None:
    """Let timers go by the monotonic clock: Twisted's reactor waits a day longer when the clock is set back a day."""
    ahead = time.monotonic() - reactor.seconds()
    for call in reactor.getDelayedCalls():
        call.delay(ahead)
    reactor.seconds = time.monotonic


class Started(MultiService):
    """The server as twistd starts it: a refusal is one line, and SIGHUP reads files again."""

    _log = Logger()

    def __init__(self, server: MailServer | DemoServer, reactor: Any, options: Options) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._server = server
        self._reactor = reactor
        self._parent: Mapping[str, Any] = options.parent or {}
        self._log_writer = log_writer(self._parent)
        if self._log_writer is not None:
            self._log_writer.setServiceParent(self)  # type: ignore[no-untyped-call]
        server.setServiceParent(self)  # type: ignore[no-untyped-call]

    def setServiceParent(self, parent: Any) -> None:
        """Take the log: this is twistd handing over its application, which may say where it goes."""
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self._log_writer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, textFileLogObserver(self._log_writer))  # type: ignore[arg-type]

    def startService(self) -> None:
        """Begin to serve. What has been loaded by now stays, so that no pass of the garbage collector looks at it."""
        super().startService()  # type: ignore[no-untyped-call]
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTOR_THRESHOLDS)

    def privilegedStartService(self) -> None:
        """Bind the ports, or end the process with a line that says why not."""
        signal.signal(signal.SIGHUP, self._hang_up)
        try:
            super().privilegedStartService()  # type: ignore[no-untyped-call]
        except CannotStartError as problem:
            if self._parent.get("pidfile"):
                Path(self._parent["pidfile"]).unlink(missing_ok=True)  # twistd leaves it behind at an exit
            if (terminal := self._parent.get("statusPipe")) is not None:
                self._log.critical("{problem}", problem=problem)
                os.write(terminal, f"1 {problem}".encode()[:100])  # as twistd does it; who started it is told that
            refuse(problem)

    def _hang_up(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._server.reload)
