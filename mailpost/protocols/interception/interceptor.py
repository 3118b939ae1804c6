"""The interface of interceptors: what sees, and may change, all that client and server say to each other."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeAlias

from mailpost.protocols.interception.conversation import Conversation
from mailpost.wire.dialogue import Command, Response

Passed: TypeAlias = "bytes | Awaitable[bytes | None] | None"
"""What is passed on in place of what came: None for the same, b"" for nothing; now or later."""


class Interceptor:
    """Passes everything on as it is. Subclass it, and override what you need.

    One interceptor serves any number of connections. Its methods may answer with a value, a Deferred or a coroutine.
    While one is waited for, what comes behind it on the same connection waits too; others go on. On each connection
    a command is seen when the one before it has been answered, so that one command runs at a time.

    An exception is a bug: it is logged, and the connection is closed. Commands have passwords in them.
    """

    def connected(self, conversation: Conversation) -> Awaitable[None] | None:
        """A client is there. The greeting waits for this."""
        return None

    def command(self, conversation: Conversation, command: Command) -> Passed:
        """A command has come: its first line. Answer for it with `return conversation.answer(command, ...)`.

        What replaces it must be one line, which fits what the client sends behind it. Of a command that is not passed
        on, nothing that belongs to it is.
        """
        return None

    def content(self, conversation: Conversation, octets: bytes) -> Passed:
        """More of the command that runs: a piece of a literal or a message, a SASL response. Lengths must stay."""
        return None

    def response(self, conversation: Conversation, response: Response) -> Passed:
        """The server says something: one response, whole, with its literals; a very long one comes in parts."""
        return None

    def closed(self, conversation: Conversation) -> None:
        """The connection is gone."""
