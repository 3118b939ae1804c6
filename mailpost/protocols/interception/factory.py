"""Factories whose connections have an interceptor before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IAddress, IProtocolFactory
from zope.interface import implementer

from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.interception import Interception
from mailpost.protocols.interception.interceptor import Interceptor
from mailpost.wire.dialogue import Dialogue
from mailpost.wire.imap.dialogue import ImapDialogue
from mailpost.wire.pop3.dialogue import Pop3Dialogue
from mailpost.wire.smtp.dialogue import SmtpDialogue

DIALOGUES: dict[str, type[Dialogue]] = {
    "imap": ImapDialogue,
    "pop3": Pop3Dialogue,
    "smtp": SmtpDialogue,
    "submission": SmtpDialogue,
    "lmtp": SmtpDialogue,
}
"""By protocol. Nobody can stand between in others."""


def intercept(*interceptors: Interceptor) -> Callable[[str, Any], Any]:
    """What puts interceptors before the sessions of a server, the first of them next to the client.

    Returns:
        (protocol, factory) -> the factory whose connections are intercepted.
    """
    layers = [Intercepted(each) for each in reversed(interceptors)]

    def around(protocol: str, factory: Any) -> Any:
        for each in layers:
            factory = each.around(protocol, factory)
        return factory

    return around


class Intercepted:
    """Puts an interceptor before the connections of a server's factories, and numbers them."""

    def __init__(self, interceptor: Interceptor, wanted: Callable[[], bool] = lambda: True) -> None:
        """Ask `wanted`, with each new connection, whether it is to be intercepted at all."""
        self._interceptor = interceptor
        self._wanted = wanted
        self._numbers: Counter[str] = Counter()
        self._conversations: WeakKeyDictionary[Any, Conversation] = WeakKeyDictionary()

    def around(self, protocol: str, factory: Any) -> Any:
        """A factory around that of a protocol; that itself, where nobody can stand between."""
        return _Factory(protocol, factory, self) if protocol in DIALOGUES else factory

    def conversation_of(self, session: Any) -> Conversation | None:
        """What is said with a session that was made here; None if nobody stands between."""
        return self._conversations.get(session)

    def intercept(self, protocol: str, session: Any, address: str, clock: Any) -> None:
        """Stand before a session, if that is wanted."""
        self._numbers[protocol] += 1
        if self._wanted():
            dialogue = DIALOGUES[protocol]()
            conversation = Conversation(protocol, self._numbers[protocol], address, dialogue, clock)
            self._conversations[session] = conversation
            Interception(session, conversation, self._interceptor)


@implementer(IProtocolFactory)
class _Factory:
    """Makes the connections of another factory."""

    noisy = False

    def __init__(self, protocol: str, factory: Any, intercepted: Intercepted) -> None:
        self._protocol = protocol
        self._factory = factory
        self._intercepted = intercepted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._factory, name)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection."""
        session = self._factory.buildProtocol(addr)
        if session is not None:
            self._intercepted.intercept(self._protocol, session, str(getattr(addr, "host", "")), self._factory.clock)
        return session
