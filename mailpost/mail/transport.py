"""What travels with a message in SMTP: from whom, to whom, and how it may be handled on its way.

RFC: 5321 §2.3.1 (the envelope), 3461 §4 (delivery status notifications), 6152 and 3030 (bodies), 6531 §3.4 (SMTPUTF8)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class BodyKind(Enum):
    """What octets a message has. RFC: 6152 §2, 3030 §3"""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Returned(Enum):
    """How much of a message comes back when it cannot be delivered. RFC: 3461 §4.3"""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(Enum):
    """When the sender wants to be told of a recipient. RFC: 3461 §4.1"""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


@dataclass(frozen=True, slots=True)
class ReversePath:
    """What MAIL FROM says."""

    address: str
    """`local@domain` as it was given, without angle brackets and source route; "" for the null path of bounces."""
    size: int | None = None
    """Octets that the client says the message has. RFC: 1870 §3"""
    body: BodyKind = BodyKind.SEVEN_BIT
    smtputf8: bool = False
    """Addresses or header fields are not ASCII. RFC: 6531 §3.4"""
    returned: Returned | None = None
    envelope_id: str | None = None
    """ENVID, decoded. RFC: 3461 §4.4"""


@dataclass(frozen=True, slots=True)
class ForwardPath:
    """What RCPT TO says."""

    address: str
    """`local@domain`, or a name alone, as it was given; without angle brackets and source route."""
    notify: frozenset[Notify] | None = None
    """None where the client said nothing."""
    original: str | None = None
    """ORCPT, `type;address`, the address decoded. RFC: 3461 §4.2"""


@dataclass(frozen=True, slots=True)
class Client:
    """Who hands a message over, as it is told in the Received field. RFC: 5321 §4.4, 3848 (the protocol's names)"""

    protocol: str
    """"LMTP", "ESMTP"; behind it "S" for TLS and "A" for a login ("ESMTPSA"); with SMTPUTF8 "UTF8SMTPSA" and so on."""
    address: str
    """As `protocols.connection.address_of` gives it: an IP address, "unix", "" for this process."""
    name: str = ""
    """What the client called itself in LHLO or EHLO; "" where it did not."""
    user: str = ""
    """Who has logged in; "" for nobody."""
