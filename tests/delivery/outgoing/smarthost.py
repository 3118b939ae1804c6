"""A smarthost that does as it is told: scripted replies, and all that it was given."""

from __future__ import annotations

import socket
import threading
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

DROP = "drop"
"""Instead of a reply: hang up."""
SILENCE = "silence"
"""Instead of a reply: say nothing."""
EVERYTHING = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN")


@dataclass
class Taken:
    """A message that was taken."""

    sender: str
    recipients: list[str]
    octets: bytes
    sender_parameters: str = ""
    recipient_parameters: list[str] = field(default_factory=list)


@dataclass
class Script:
    """What a smarthost says, and what it has got."""

    extensions: Sequence[str] = EVERYTHING
    replies: dict[str, str | list[str]] = field(default_factory=dict)
    """By the beginning of a command, "." for the end of a message, "" for the greeting; of a list, one at a time."""
    login: tuple[str, str] | None = None
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    logged_in: list[str] = field(default_factory=list)

    def reply(self, command: str, usual: str) -> str:
        """What is said to a command."""
        for beginning in sorted(self.replies, key=len, reverse=True):
            if (command == beginning) if beginning in ("", ".") else command.upper().startswith(beginning.upper()):
                said = self.replies[beginning]
                if isinstance(said, str):
                    return said
                if said:
                    return said.pop(0)
        return usual


class Session:
    """One connection, without a socket."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.closed = False
        self.starts_tls = False
        self._buffer = b""
        self._in_data = False
        self._taken: Taken | None = None
        self._asked: list[str] = []
        script.connections += 1

    def greeting(self) -> bytes:
        """The first line."""
        return self._answer(self.script.reply("", "220 fake ESMTP"))

    def _answer(self, reply: str) -> bytes:
        if reply == DROP:
            self.closed = True
            return b""
        return b"" if reply == SILENCE else reply.encode().replace(b"\n", b"\r\n") + b"\r\n"

    def feed(self, data: bytes) -> bytes:
        """What is said to these octets."""
        self._buffer += data
        said = b""
        while not self.closed:
            if self._in_data:
                whole = b"\r\n" + self._buffer
                end = whole.find(b"\r\n.\r\n")
                if end < 0:
                    return said
                body, self._buffer = whole[: end + 2], whole[end + 5 :]
                self._in_data = False
                said += self._message(body.replace(b"\r\n.", b"\r\n")[2:])
                continue
            line, found, rest = self._buffer.partition(b"\r\n")
            if not found:
                return said
            self._buffer = rest
            said += self._command(line.decode())
        return said

    def _message(self, octets: bytes) -> bytes:
        assert self._taken is not None
        reply = self.script.reply(".", "250 2.0.0 taken")
        self._taken.octets = octets
        if reply.startswith("2") or reply == DROP:  # it has it, whether or not it says so
            self.script.taken.append(self._taken)
        self._taken = None
        return self._answer(reply)

    def _command(self, line: str) -> bytes:
        self.script.commands.append(line)
        verb = line.partition(" ")[0].upper()
        if self._asked:
            return self._answer(self._login(self._asked.pop(0), line))
        usual = getattr(self, f"_{verb.lower()}", lambda line: "500 5.5.2 what?")(line)
        reply = self.script.reply(line, usual)
        if verb == "DATA" and reply.startswith("354"):
            self._in_data = True
        if verb == "RCPT" and reply.startswith("2") and self._taken is not None:
            address, _, parameters = line[len("RCPT TO:<") :].partition(">")
            self._taken.recipients.append(address)
            self._taken.recipient_parameters.append(parameters.strip())
        if verb == "STARTTLS" and reply.startswith("2"):
            self.starts_tls = True
        said = self._answer(reply)
        if verb == "QUIT":
            self.closed = True
        return said

    def _ehlo(self, line: str) -> str:
        words = ["fake", *self.script.extensions]
        return "\n".join([f"250-{each}" for each in words[:-1]] + [f"250 {words[-1]}"])

    def _helo(self, line: str) -> str:
        return "250 fake"

    def _mail(self, line: str) -> str:
        address, _, parameters = line[len("MAIL FROM:<") :].partition(">")
        self._taken = Taken(address, [], b"", parameters.strip())
        return "250 2.1.0 ok"

    def _rcpt(self, line: str) -> str:
        return "250 2.1.5 ok"

    def _data(self, line: str) -> str:
        return "354 go on" if self._taken and self._taken.recipients else "503 5.5.1 nobody to send it to"

    def _rset(self, line: str) -> str:
        self._taken = None
        return "250 ok"

    def _quit(self, line: str) -> str:
        return "221 bye"

    def _starttls(self, line: str) -> str:
        return "220 go on"

    def _auth(self, line: str) -> str:
        _, mechanism, *initial = line.split(" ")
        if mechanism == "PLAIN":
            _, user, password = b64decode(initial[0]).decode().split("\0")
            return self._logged_in(user, password)
        if mechanism == "LOGIN":
            self._asked = ["user", "password"]
            return "334 VXNlcm5hbWU6"
        return "504 5.5.4 no"

    def _login(self, what: str, line: str) -> str:
        text = b64decode(line).decode()
        if what == "user":
            self._user = text
            return "334 UGFzc3dvcmQ6"
        return self._logged_in(self._user, text)

    def _logged_in(self, user: str, password: str) -> str:
        self.script.logged_in.append(user)
        return "235 2.7.0 welcome" if (user, password) == self.script.login else "535 5.7.8 wrong"


class _Transport:
    """What a client's protocol writes to; answers come in a later turn of the clock."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self.session = session
        self.clock = clock
        self.protocol: Any = None
        self.lost = False

    def begin(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)
        self._give(self.session.greeting())

    def write(self, data: bytes) -> None:
        if not self.lost and not self.session.closed:
            self._give(self.session.feed(data))

    def _give(self, said: bytes) -> None:
        if said:
            self.clock.callLater(0, lambda: self.lost or self.protocol.dataReceived(said))
        if self.session.closed:
            self.clock.callLater(0, self.loseConnection)

    def loseConnection(self) -> None:
        if not self.lost:
            self.lost = True
            self.clock.callLater(0, lambda: self.protocol.connectionLost(Failure(error.ConnectionDone())))

    def abortConnection(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        assert streaming

    def unregisterProducer(self) -> None:
        """Nothing is held."""

    def startTLS(self, options: object) -> None:
        self.session.script.commands.append("(TLS)")
        self.session.script.extensions = [each for each in self.session.script.extensions if each != "STARTTLS"]


@implementer(IStreamClientEndpoint)
@dataclass
class FakeEndpoint:
    """Connects to a scripted smarthost, in memory."""

    script: Script
    clock: Clock
    refuses: bool = False

    def connect(self, factory: Any) -> Deferred[Any]:
        if self.refuses:
            return fail(error.ConnectionRefusedError())
        protocol = factory.buildProtocol(None)
        _Transport(Session(self.script), self.clock).begin(protocol)
        return succeed(protocol)


class Listening:
    """The same behind a real socket, in threads, for tests with a server of its own."""

    def __init__(self, script: Script, port: int = 0) -> None:
        self.script = script
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            session = Session(self.script)
        try:
            connection.sendall(session.greeting())
            while not session.closed and (data := connection.recv(65536)):
                with self._lock:
                    said = session.feed(data)
                connection.sendall(said)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        """No more connections."""
        self._socket.close()


def at_once(function: Callable[[], Any]) -> Deferred[Any]:
    """Stands for a thread: does it now."""
    try:
        return succeed(function())
    except Exception:
        return fail()
