"""Whom an address means.

    ann@example.org          a domain that is ours, or a user of that very name
    ann                      a bare name, where those are allowed
    ann+work@example.org     ann, with a wish for the folder "work"

An address is looked up, case aside, in this order; the first that is found counts:

1. an alias `local@domain`; an alias `local`, if the domain is ours or there is none;
2. a user `local@domain`; a user `local`, if the domain is ours or there is none;
3. the same two with the local part up to the separator of details: what is behind it is the wish for a folder;
4. the alias `@domain`; then, if the domain is ours, `catch_all`;
5. for postmaster, in any case and at any domain of ours or none: the configured postmaster. RFC: 5321 §4.5.1

An alias stands for addresses, which are looked up in the same way; a name met again on the way means the user of that
name (`ann: ann, ann@elsewhere.example`), and what only leads in a circle means nobody.

A domain is ours if it is configured. `local@domain` can be a user without that: having such a user says so too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from twisted.logger import Logger
from zope.interface import implementer

from mailpost.accounts.account import User
from mailpost.accounts.interfaces import IUserDirectory
from mailpost.delivery.aliases import Aliases, canonical_domain, key
from mailpost.delivery.interfaces import IRecipients
from mailpost.delivery.records import Elsewhere, LocalUser, Target
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.offload import settled

MOST_TARGETS = 1000
"""Addresses that one alias may stand for, all aliases on the way counted."""

_log = Logger()


class AliasSource(Protocol):
    """Where aliases come from: an `accounts.reread.RereadFile` of `aliases.parse`."""

    was_read: bool
    """Whether it is known at all what holds."""

    async def current(self) -> Aliases:
        """What holds now."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How addresses are read."""

    domains: Sequence[str] = ()
    """Domains that are ours."""
    bare_names: bool = True
    """A name without a domain is one of ours."""
    detail_separator: str = "+"
    """Stands before the wish for a folder in a local part; "" for none."""
    catch_all: str = ""
    """The address that gets what is for nobody at a domain of ours; "" for none."""
    postmaster: str = ""
    """The address that gets mail for postmaster where nobody else does; "" for none."""


class _Address(NamedTuple):
    local: str
    domain: str
    """"" for a bare name; lower case, non-ASCII names as they travel in the DNS."""

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local


@implementer(IRecipients)
class Recipients:
    """Users of a directory, found by address.

    Args:
        directory: knows who exists.
        rules: how addresses are read.
        aliases: addresses that stand for others.
    """

    def __init__(self, directory: IUserDirectory, rules: Rules, aliases: AliasSource | None = None) -> None:
        self._directory = directory
        self._rules = rules
        self._domains = frozenset(map(canonical_domain, rules.domains))
        self._aliases = aliases

    async def resolve(self, address: str) -> list[Target]:
        """Whom mail for this address goes to."""
        wanted = _split(address)
        aliases = Aliases()
        if self._aliases is not None:
            aliases = await self._aliases.current()
            if not self._aliases.was_read:  # an alias is not to be taken for nobody, whose mail is refused for good
                raise MailError(ErrorKind.UNAVAILABLE, "The aliases are not known at the moment")
        search = _Search(self._directory, self._rules, self._domains, aliases)
        found = await search.targets(wanted)
        if found:
            return list(dict.fromkeys(found))
        if search.is_elsewhere(wanted.domain):
            raise MailError(ErrorKind.RELAY_DENIED, f"Mail for {wanted.domain} is not taken here")
        raise MailError(ErrorKind.NO_SUCH_USER, "There is no such user here")


@dataclass(slots=True)
class _Search:
    """One address being looked up."""

    directory: IUserDirectory
    rules: Rules
    domains: frozenset[str]
    aliases: Aliases
    on_the_way: list[str] = field(default_factory=list)
    """Names of aliases that led here."""
    count: int = 0

    async def targets(self, address: _Address) -> list[Target]:
        """Whom it means; nobody if it cannot be found."""
        self.count += 1
        if self.count > MOST_TARGETS:
            raise MailError(ErrorKind.UNAVAILABLE, "This address stands for too many others")
        for local, detail in self._readings(address.local):
            read = _Address(local, address.domain)
            names = list(self._names(read))
            for name in names:
                found = await self._alias(name, detail)
                if found is not None:
                    return found
            for name in names:
                user: User | None = await settled(self.directory.find(name))
                if user is not None:
                    return [LocalUser(user.name, detail)]
        return await self._fallback(address)

    def is_elsewhere(self, domain: str) -> bool:
        """Whether other servers take mail for this domain."""
        return domain not in {"", *self.domains} and f"@{domain}" not in self.aliases.targets

    def _readings(self, local: str) -> Iterator[tuple[str, str]]:
        """The local part as it is, then without its detail."""
        yield local, ""
        separator = self.rules.detail_separator
        base, found, detail = local.partition(separator) if separator else (local, "", "")
        if found and base:
            yield base, detail

    def _names(self, address: _Address) -> Iterator[str]:
        """What aliases and users of this address may be called."""
        if address.domain:
            yield str(address)
        if self._is_ours(address):
            yield address.local

    def _is_ours(self, address: _Address) -> bool:
        return address.domain in self.domains if address.domain else self.rules.bare_names

    async def _alias(self, name: str, detail: str) -> list[Target] | None:
        """What an alias stands for, if it is one."""
        name = key(name)
        addresses = self.aliases.targets.get(name)
        if addresses is None or name in self.on_the_way:
            return None
        self.on_the_way.append(name)
        found: list[Target] = []
        for each in addresses:
            try:
                to = _split(each)
            except MailError:
                to = None
            more = await self.targets(to) if to is not None else []
            if not more and to is not None and self.is_elsewhere(to.domain):
                more = [Elsewhere(each)]
            if not more:
                _log.warn("the alias {name} leads to {address}, which means nobody", name=name, address=each)
            found += (LocalUser(one.name, one.detail or detail) if isinstance(one, LocalUser) else one for one in more)
        self.on_the_way.pop()
        return found

    async def _fallback(self, address: _Address) -> list[Target]:
        """Who gets what is for nobody else."""
        if address.domain:
            found = await self._alias(f"@{address.domain}", "")
            if found:
                return found
        ours = address.domain in self.domains or not address.domain
        if ours and self.rules.postmaster and key(address.local) == "postmaster":
            return await self._through(self.rules.postmaster)
        if ours and self.rules.catch_all and self._is_ours(address):
            return await self._through(self.rules.catch_all)
        return []

    async def _through(self, setting: str) -> list[Target]:
        """Those whom a setting names; nobody if it leads to itself."""
        if setting in self.on_the_way:
            return []
        self.on_the_way.append(setting)
        try:
            return await self.targets(_split(setting))
        finally:
            self.on_the_way.pop()


def _split(address: str) -> _Address:
    """The parts of an address; quotes that the local part need not have are taken off. RFC: 5321 §4.1.2

    Raises:
        MailError: NO_SUCH_USER for what is no address.
    """
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = address, ""
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    if not local or (at and not domain):
        raise MailError(ErrorKind.NO_SUCH_USER, "This is no address")
    return _Address(local, canonical_domain(domain))
