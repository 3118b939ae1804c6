"""What goes wrong by chance: decided by a seed and by where in the dialogue it is, and by nothing else."""

from __future__ import annotations

import random

from mailpost.faults.fault import Fault
from mailpost.protocols.interception.conversation import Conversation
from mailpost.wire.dialogue import GREETING, Command

LARGEST_DROP = 2000
LONGEST_DELAY = 0.2
_REFUSALS = {"imap": "NO [UNAVAILABLE] Chaos", "pop3": "-ERR [SYS/TEMP] Chaos"}
_SMTP_REFUSAL = "451 4.3.0 Chaos"
_GREETINGS = {"imap": "BYE [UNAVAILABLE] Chaos", "pop3": "-ERR [SYS/TEMP] Chaos"}
_SMTP_GREETING = "421 4.3.2 Chaos"


def chosen(chaos: Fault, conversation: Conversation, command: Command) -> Fault | None:
    """What goes wrong with this command: the same for the same seed, connection number, place and command."""
    where = f"{chaos.chaos} {conversation.protocol} {conversation.number} {conversation.commands} {command.verb}"
    chance = random.Random(where)
    if chance.random() >= chaos.chance:
        return None
    match chance.randrange(4):
        case 0:
            return Fault(drop_after=chance.randrange(LARGEST_DROP))
        case 1:
            return Fault(delay=round(chance.uniform(0.0, LONGEST_DELAY), 3))
        case 2:
            return Fault(bye_after=0.0)
        case _:
            told, default = (_GREETINGS, _SMTP_GREETING) if command.verb == GREETING else (_REFUSALS, _SMTP_REFUSAL)
            return Fault(answer=told.get(conversation.protocol, default))
