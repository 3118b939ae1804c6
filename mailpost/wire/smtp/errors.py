"""A command that cannot be understood."""

from __future__ import annotations

from mailpost.wire.smtp.replies import Reply


class CommandError(Exception):
    """What the client sent is no command that could be run; `reply` says why."""

    def __init__(self, code: int, status: str, text: str, *, fatal: bool = False) -> None:
        """`fatal`: what follows cannot be told from commands, so that the connection must end."""
        super().__init__(text)
        self.reply = Reply(code, status, text)
        self.fatal = fatal
