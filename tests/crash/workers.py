"""Clients that work in threads of their own until the server dies."""

from __future__ import annotations

import random
import smtplib
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count
from threading import Thread


class Worker(ABC):
    """A client.

    Args:
        name: in all that it makes.
        draw: what it does.
    """

    def __init__(self, name: str, draw: random.Random) -> None:
        self.name = name
        self.refusals: list[str] = []
        """What it was refused; nothing ever should be."""
        self._draw = draw
        self._count = count(1)
        self._thread: Thread | None = None

    def begin(self, port: int) -> None:
        """Work, in a thread, until the server is gone or there is enough."""
        self._run(self._work, port)

    def _run(self, work: Callable[[int], None], port: int) -> None:
        self._thread = Thread(target=work, args=(port,))
        self._thread.start()

    def join(self) -> None:
        """Wait until it has noticed."""
        assert self._thread is not None
        self._thread.join(30)
        assert not self._thread.is_alive(), f"{self.name} hangs"

    @abstractmethod
    def _work(self, port: int) -> None:
        """All that it does; returns when the server is gone."""


class MailWorker(Worker):
    """A client that hands over mail."""

    def _work(self, port: int) -> None:
        try:
            with self._connected(port) as client:
                while self._has_more():
                    self._send(client)
        except smtplib.SMTPResponseException as problem:
            if problem.smtp_code != -1:  # else nothing came: it is dead
                self.refusals.append(f"{self.name}: {problem}")
        except smtplib.SMTPRecipientsRefused as problem:
            self.refusals.append(f"{self.name}: {problem}")
        except (OSError, smtplib.SMTPException):
            return

    @abstractmethod
    def _connected(self, port: int) -> smtplib.SMTP:
        """A connection over which mail can be sent."""

    @abstractmethod
    def _has_more(self) -> bool:
        """Whether there is not enough yet."""

    @abstractmethod
    def _send(self, client: smtplib.SMTP) -> None:
        """Send a message."""
