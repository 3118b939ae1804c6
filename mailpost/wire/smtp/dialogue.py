"""The dialogue of SMTP, submission and LMTP, for whoever stands between client and server.

RFC: 5321 §4.1.1, §4.2 (commands, replies), 2033 §4.2 (an answer for each recipient), 3030 §2 (BDAT), 4954 §4 (AUTH)
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mailpost.wire.dialogue import WHOLE, Command, Dialogue, Expected, Response, announced, verb_of

_CODE = re.compile(r"\d{3}[ -]")
_CHUNK = re.compile(rb"BDAT +(\d{1,16})(?: +LAST)?[ \t]*\r\n", re.IGNORECASE)
_MORE = re.compile(rb"\d{3}-")
_MESSAGES = frozenset({"DATA", "BDAT"})


class SmtpDialogue(Dialogue):
    """What is said on a connection of SMTP or one of its kin."""

    def without(self, response: Response, names: Collection[str]) -> bytes:
        """The octets of an answer to EHLO or LHLO without these."""
        if response.command is None or response.command.verb not in ("EHLO", "LHLO"):
            return response.octets
        head, *lines = response.octets.splitlines(keepends=True)
        told = [head[4:], *filter(None, (announced(line[4:], names) for line in lines))]
        return b"".join(
            head[:3] + (b" " if number == len(told) else b"-") + line for number, line in enumerate(told, 1)
        )

    def answer(self, command: Command, text: str) -> bytes:
        """A reply; several lines are made one reply by their code, which each may begin with."""
        lines = text.splitlines() or [""]
        code = lines[0][:3]
        texts = [line[4:] if _CODE.match(line) else line for line in lines]
        return b"".join(
            f"{code}{' ' if number == len(texts) else '-'}{line}\r\n".encode() for number, line in enumerate(texts, 1)
        )

    def goodbye(self, text: str) -> bytes:
        """421. RFC: 5321 §3.8"""
        return f"421 4.3.2 {text}\r\n".encode()

    def closes(self, text: str) -> bool:
        """Whether this is 421."""
        return text.startswith("421")

    def _named(self, line: bytes) -> Command:
        return Command(line, verb_of(line))

    def _follow(self, line: bytes) -> None:
        self._answered = None
        super()._follow(line)

    def _expect_after(self, line: bytes, command: Command | None) -> None:
        size = _CHUNK.fullmatch(line)
        if size is not None and command is not None and command.octets == line:
            self._expect_octets(int(size[1]))
        else:
            self._wait()

    def _gather(self) -> bool:
        while self._size < WHOLE:
            if not self._take_line():
                return False
            if not _MORE.match(self._gathered[-1]):
                return True
        return False

    def _asks(self, head: bytes) -> bool:
        if not head.startswith((b"354", b"334")):
            return False
        if self._expected is Expected.ANSWER:
            if head.startswith(b"354"):
                self._expect_message()
            else:
                self._expected = Expected.REPLY
        return True

    def _is_final(self, head: bytes, command: Command) -> bool:
        # LMTP answers for each recipient; the others' answers belong to the same command.
        self._answered = command if command.verb in _MESSAGES else None
        return True
