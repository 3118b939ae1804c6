"""XCLIENT: a proxy or mail server in front tells for whom it speaks.

http://www.postfix.org/XCLIENT_README.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from mailpost.protocols.smtp.dialect import Rule, State
from mailpost.protocols.smtp.session import Session
from mailpost.wire.smtp.commands import XCLIENT_ATTRIBUTES, XClient
from mailpost.wire.smtp.errors import CommandError

KEYWORD = f"XCLIENT {' '.join(XCLIENT_ATTRIBUTES)}"


class Trusted:
    """Addresses that are believed."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Addresses and networks, or "unix".

        Raises:
            ValueError: one of them is none of these; the message names it.
        """
        texts = list(texts)
        self._unix = "unix" in texts
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(each) for each in texts if each != "unix"]

    def __contains__(self, address: str) -> bool:
        """Whether an address (as `protocols.connection.address_of` gives it) is among them."""
        if address in ("", "unix"):
            return self._unix
        parsed = ip_address(address)
        return any(parsed in network for network in self._networks)


async def xclient(session: Session, command: XClient) -> None:
    """Take the client's word for who is behind it; it begins anew. RFC: 2033 (what follows is LHLO)"""
    if session.connection.record.address not in session.connection.trusted:  # type: ignore[attr-defined]
        raise CommandError(550, "5.7.1", "You are not trusted to speak for others")
    client = session.client
    for name, value in command.attributes.items():
        match name:
            case "ADDR":
                client = replace(client, address=_address(value))
            case "HELO":
                client = replace(client, name=value or "")
            case "LOGIN":
                client = replace(client, user=value or "")
            case _:  # the name in the DNS, port and protocol are in no Received field of ours
                pass
    session.client = client
    session.begin_anew()
    session.greet()


def _address(value: str | None) -> str:
    if value is None:
        return ""
    try:
        return str(ip_address(value[5:] if value[:5].upper() == "IPV6:" else value))
    except ValueError:
        raise CommandError(501, "5.5.4", "ADDR is an IP address, IPV6: before one of IPv6") from None


RULE = Rule(xclient, frozenset({State.CONNECTED, State.READY}))
