"""The rules of a server, and what makes them happen on its connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailpost.faults.chaos import chosen
from mailpost.faults.effects import EFFECTS, Effect
from mailpost.faults.fault import TLS, BadCertificate, Fault
from mailpost.faults.reading import fault_of, faults_of
from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.factory import Intercepted
from mailpost.protocols.interception.interceptor import Interceptor
from mailpost.wire.dialogue import GREETING, Command, Response

Rules = Iterable[Fault | Mapping[str, Any]] | Path | str
"""Rules, each a `Fault` or its fields; or the path of a file of them."""
Note = Callable[[Any, str], None]
"""(session, text): something went wrong on its connection, on purpose."""


class Rule:
    """One rule of a server.

    Attributes:
        fault: what it says.
        hits: how often a client has met it.
    """

    def __init__(self, fault: Fault, faults: Faults) -> None:
        self.fault = fault
        self.hits = 0
        self._counted = 0
        self._faults = faults

    def __repr__(self) -> str:
        return f"<Rule {self.fault}; hits: {self.hits}>"

    def remove(self) -> None:
        """Let it happen no more; harmless when it is gone."""
        self._faults.remove(self)

    def is_due(self, conversation: Conversation, command: Command) -> bool:
        """Count a command, if that is one to be counted, and say whether it is its turn."""
        if not self.fault.matches(conversation, command):
            return False
        self._counted += 1
        return self.fault.is_due(self._counted)


class Faults:
    """The rules of one server. They may be changed while it runs, from any thread.

    While there are none, connections that begin then are not intercepted at all, and stay so.
    """

    def __init__(self, rules: Rules = (), *, always: bool = False, note: Note = lambda session, text: None) -> None:
        """Rules to begin with.

        Args:
            rules: such as `[Fault(command="FETCH", nth=3, drop_after=512)]`, or a file.
            always: connections are intercepted while there are no rules too, so that later rules are for them, too.
            note: told of all that goes wrong.

        Raises:
            FaultError: a rule makes no sense.
        """
        self._rules: tuple[Rule, ...] = ()
        self._always = always
        self.note = note
        self._intercepted = Intercepted(_Injector(self), lambda: bool(self._rules) or self._always)
        self.around = self._intercepted.around
        for each in faults_of(Path(rules)) if isinstance(rules, str | Path) else rules:
            self.add(each)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def __str__(self) -> str:
        return "\n".join(f"{rule.fault}: met {rule.hits} times" for rule in self._rules)

    def add(self, fault: Fault | Mapping[str, Any] | None = None, /, **values: Any) -> Rule:
        """One more rule, given as a `Fault` or by its fields.

        Raises:
            FaultError: it makes no sense.
        """
        made = Rule(fault if isinstance(fault, Fault) else fault_of({**(fault or {}), **values}), self)
        self._rules = (*self._rules, made)
        return made

    def remove(self, rule: Rule) -> None:
        """Let it happen no more."""
        self._rules = tuple(each for each in self._rules if each is not rule)

    def clear(self) -> None:
        """Let nothing happen any more; what has begun goes on."""
        self._rules = ()

    @property
    def seeds(self) -> list[int]:
        """Of rules with chaos."""
        return [each.fault.chaos for each in self._rules if each.fault.chaos is not None]

    def certificate_for(self, session: Any) -> BadCertificate | None:
        """What is wrong with the certificate in the handshake that begins on the connection of a session."""
        conversation = self._intercepted.conversation_of(session)
        if conversation is None:
            return None
        handshake = Command(b"", TLS)
        due = [each for each in self._rules if each.is_due(conversation, handshake)]
        for each in due:
            self.hit(each, each.fault, conversation, handshake)
        return due[0].fault.certificate if due else None

    def hit(self, rule: Rule, fault: Fault, conversation: Conversation, command: Command) -> None:
        """A client has met a rule."""
        rule.hits += 1
        seed = "" if rule.fault.chaos is None else f"chaos {rule.fault.chaos}: "
        self.note(conversation.session, f"fault at {command.verb}: {seed}{fault}")


class _Injector(Interceptor):
    """Makes the effects of rules, one set for each command."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._effects: dict[Conversation, list[Effect]] = {}

    def connected(self, conversation: Conversation) -> None:
        self._begin(conversation, Command(b"", GREETING))

    def command(self, conversation: Conversation, command: Command) -> bytes | None:
        return self._begin(conversation, command)

    def response(self, conversation: Conversation, response: Response) -> bytes | None:
        if response.command is None:
            return None
        shown = response
        for effect in self._effects.get(conversation, ()):
            octets = effect.response(conversation, shown)
            if octets is not None:
                shown = replace(shown, octets=octets)
        return shown.octets

    def closed(self, conversation: Conversation) -> None:
        self._effects.pop(conversation, None)

    def _begin(self, conversation: Conversation, command: Command) -> bytes | None:
        slow = any(each.paces for each in self._effects.get(conversation, ()))
        effects = self._effects[conversation] = list(self._due(conversation, command))
        if slow and not any(each.paces for each in effects):
            conversation.pace()
        for effect in effects:
            passed = effect.command(conversation, command)
            if passed is not None:
                return passed
        return None

    def _due(self, conversation: Conversation, command: Command) -> Iterator[Effect]:
        for rule in self._faults:
            if rule.is_due(conversation, command):
                fault = rule.fault if rule.fault.chaos is None else chosen(rule.fault, conversation, command)
                if fault is not None:
                    yield self._effect(rule, fault, conversation, command)

    def _effect(self, rule: Rule, fault: Fault, conversation: Conversation, command: Command) -> Effect:
        def hit() -> None:
            self._faults.hit(rule, fault, conversation, command)

        return EFFECTS[fault.action](fault, hit)
