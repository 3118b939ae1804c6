"""What goes wrong: each effect is an interceptor for the length of one command."""

from __future__ import annotations

import re
from collections.abc import Callable

from mailpost.faults.fault import Fault
from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.interceptor import Interceptor
from mailpost.wire.dialogue import GREETING, Command, Response

Hit = Callable[[], None]
"""Tells that an effect was seen by the client."""


class Effect(Interceptor):
    """One occurrence of a fault.

    Attributes:
        paces: it sets the connection's pace.
    """

    paces = False

    def __init__(self, fault: Fault, hit: Hit) -> None:
        self.fault = fault
        self.hit = hit

    def command(self, conversation: Conversation, command: Command) -> bytes | None:
        """The command that it is about, or GREETING."""
        return None

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        """What answers that."""
        return None


class _Answer(Effect):
    """Something else is answered."""

    def command(self, conversation: Conversation, command: Command) -> bytes | None:
        if command.verb == GREETING:
            return None
        self.hit()
        return conversation.answer(command, self.fault.answer or "")

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        self.hit()
        return conversation.answer(Command(b"", GREETING), self.fault.answer or "")


class _Result(Effect):
    """The command has run, but that is not what is told."""

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        if response.command is None or not response.final:
            return None
        self.hit()
        return conversation.answer(response.command, self.fault.result or "")


class _Insert(Effect):
    """Something is said before."""

    said = False

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        if self.said:
            return None
        self.said = True
        self.hit()
        return f"{self.fault.insert}\r\n".encode() + response.octets


class _Cut(Effect):
    """So much of the answer comes, and then no more; the connection is closed or not."""

    def __init__(self, fault: Fault, hit: Hit) -> None:
        super().__init__(fault, hit)
        self.closes = fault.drop_after is not None
        self.left = (fault.drop_after if self.closes else fault.stall_after) or 0

    def command(self, conversation: Conversation, command: Command) -> bytes | None:
        if self.left or command.verb == GREETING:
            return None
        self._end(conversation)
        return b""

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        octets = response.octets[: self.left]
        if len(octets) == len(response.octets) and not (self.left == len(octets) and not response.final):
            self.left -= len(octets)
            return None
        self._end(conversation)
        return octets

    def _end(self, conversation: Conversation) -> None:
        self.hit()
        if self.closes:
            conversation.close()
        else:
            conversation.stall()


class _UnfinishedLiteral(Effect):
    """One half of a literal comes, or of the lines."""

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        head, _, rest = response.octets.partition(b"\r\n")
        if conversation.protocol == "imap":
            found = re.search(rb"\{(\d+)\}\Z", head)
            half = int(found[1]) // 2 if found else 0
        else:
            half = len(rest) // 2
        if not half:
            return None
        self.hit()
        conversation.stall()
        return head + b"\r\n" + rest[:half]


class _NeverAnswer(Effect):
    """Nothing comes."""

    def command(self, conversation: Conversation, command: Command) -> bytes | None:
        if command.verb == GREETING:
            return None
        self.hit()
        return b""

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        self.hit()
        return b""


class _Bye(Effect):
    """The server has had enough."""

    def command(self, conversation: Conversation, command: Command) -> bytes | None:
        if self.fault.bye_after:
            conversation.later(self.fault.bye_after, lambda: self._end(conversation))
        elif command.verb != GREETING:
            self._end(conversation)
            return b""
        return None

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        if self.fault.bye_after:
            return None
        self._end(conversation)
        return b""

    def _end(self, conversation: Conversation) -> None:
        self.hit()
        conversation.bye("The server goes down")


class _UidValidity(Effect):
    """The folder is another one. RFC: 9051 §2.3.1.1"""

    _told = re.compile(rb"(UIDVALIDITY|\[APPENDUID|\[COPYUID) \d+")

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        octets, count = self._told.subn(rb"\g<1> %d" % (self.fault.uidvalidity or 1), response.octets)
        if count:
            self.hit()
        return octets


class _DuplicateUids(Effect):
    """Two messages have one UID, or unique-id."""

    _uid = re.compile(rb'(\A\* \d+ FETCH \((?:[^\r\n"]*? )?UID )(\d+)')
    _unique_ids = re.compile(rb"(\+OK[^\r\n]*\r\n\d+ )(\S+)(\r\n\d+ )(\S+)")

    first = b""
    done = False

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        if self.done:
            return None
        if conversation.protocol == "pop3":
            octets, count = self._unique_ids.subn(rb"\1\2\3\2", response.octets)
            self.done = bool(count)
        else:
            found = self._uid.match(response.octets)
            if found is None:
                return None
            octets = found[1] + (self.first or found[2]) + response.octets[found.end() :]
            self.done = bool(self.first)
            self.first = found[2]
        if self.done:
            self.hit()
        return octets


class _Expunge(Effect):
    """A message goes while others are told of, which no server may do. RFC: 9051 §7.5.1"""

    _number = re.compile(rb"\A\* (\d+) FETCH ")

    begun = False
    said = False

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        gone = self.fault.expunge or 1
        found = self._number.match(response.octets) if response.first else None
        if found is None:
            return None
        if not self.begun:
            self.begun = True
            return None
        told = b""
        if not self.said:
            self.said = True
            self.hit()
            told = b"* %d EXPUNGE\r\n" % gone
        number = int(found[1])
        if number == gone:
            return told
        return told + b"* %d FETCH " % (number - (number > gone)) + response.octets[found.end() :]


class _Slow(Effect):
    """It takes its time, until the next command."""

    paces = True

    def command(self, conversation: Conversation, command: Command) -> bytes | None:
        self.hit()
        conversation.pace(self.fault.delay or 0.0, (self.fault.bandwidth or 0) / 8)
        return None


class _Mask(Effect):
    """Something that the server can do is not told."""

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        shown = conversation.dialogue.without(response, frozenset(name.upper() for name in self.fault.mask))
        if shown != response.octets:
            self.hit()
        return shown


EFFECTS: dict[str, type[Effect]] = {
    "answer": _Answer,
    "result": _Result,
    "insert": _Insert,
    "drop_after": _Cut,
    "stall_after": _Cut,
    "unfinished_literal": _UnfinishedLiteral,
    "never_answer": _NeverAnswer,
    "bye_after": _Bye,
    "uidvalidity": _UidValidity,
    "duplicate_uids": _DuplicateUids,
    "expunge": _Expunge,
    "delay": _Slow,
    "bandwidth": _Slow,
    "mask": _Mask,
}
"""By the field of `Fault` that says so."""
