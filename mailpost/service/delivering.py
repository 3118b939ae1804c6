"""The wiring of delivery: `[recipients]` and the users become a receiver of mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.cred.checkers import ICredentialsChecker

from mailpost.accounts.interfaces import IUserDirectory
from mailpost.accounts.reread import RereadFile
from mailpost.delivery import aliases
from mailpost.delivery.body import Run
from mailpost.delivery.filing import LocalReceiver
from mailpost.delivery.interfaces import IDeliveryFilter, IRecipients
from mailpost.delivery.recipients import Recipients, Rules
from mailpost.mail.errors import MailError
from mailpost.service.config import Config, ConfigError
from mailpost.storage.interfaces import IMailStore
from mailpost.storage.troubles import Troubles

TAKES_MAIL = ("lmtp", "submission", "submissions")
"""Listeners through which mail comes in."""


def takes_mail(config: Config) -> bool:
    """Whether mail comes in by any listener."""
    return any(getattr(config.listen, name, ()) for name in TAKES_MAIL)


def require_recipients(config: Config, checkers: Sequence[object]) -> None:
    """Raise ConfigError when mail comes in and nobody could get it, or a file is not there."""
    file = config.recipients.aliases
    if file is not None and not file.is_file():
        raise ConfigError([f"{config.source.place('recipients', 'aliases')}{file} is no file"])
    if takes_mail(config) and config.users.file is None and not _others(checkers):
        place = config.source.place("users", "file")
        raise ConfigError([f"{place}is missing: whoever logs in by --auth alone is known then, and can get no mail"])


def telling(run: Run, what: str) -> Run:
    """Run like this, and say once in the log what the system refuses: a full disk, no more files.

    Args:
        run: runs a blocking function in a thread.
        what: begins the line.
    """
    troubles = Troubles(what)

    async def told(work: Callable[[], Any]) -> Any:
        try:
            return await run(work)
        except MailError as error:
            troubles.note(error)
            raise

    return told


def recipients_of(
    config: Config,
    reactor: Any,
    directory: IUserDirectory | None,
    checkers: Sequence[ICredentialsChecker],
    run: Run,
) -> IRecipients | None:
    """Whom addresses mean; None where nothing knows users before they log in.

    Args:
        config: the rules.
        reactor: its clock.
        directory: the users file.
        checkers: the first that provides `IUserDirectory` stands in where there is no users file.
        run: runs a blocking function in a thread.

    Raises:
        ConfigError: as `require_recipients` does.
    """
    require_recipients(config, checkers if directory is None else [directory])
    known = directory or next(iter(_others(checkers)), None)
    if known is None:
        return None
    settings = config.recipients
    rules = Rules(
        domains=settings.domains,
        bare_names=settings.bare_names,
        detail_separator=settings.detail_separator,
        catch_all=settings.catch_all,
        postmaster=settings.postmaster,
    )
    source = None
    if settings.aliases is not None:
        source = RereadFile(
            settings.aliases, aliases.parse, aliases.Aliases(), what="aliases file", run=run, seconds=reactor.seconds
        )
    return Recipients(known, rules, source)


def local_receiver(
    config: Config,
    store: IMailStore,
    recipients: IRecipients,
    filters: Sequence[IDeliveryFilter],
    *,
    run: Run,
    now: Callable[[], float],
) -> LocalReceiver:
    """Takes mail for local users; `run` runs a blocking function in a thread, `now` is the time of day."""
    return LocalReceiver(
        store,
        recipients,
        hostname=config.server.hostname,
        run=telling(run, "mail that comes in"),
        filters=filters,
        message_size=config.limits.message,
        most_recipients=config.limits.recipients,
        now=now,
    )


def survey_recipients(config: Config) -> list[str]:
    """What can be said of recipients before the server starts, a line each."""
    file = config.recipients.aliases
    if file is None:
        return []
    read = aliases.parse(file.read_text(errors="replace"))
    lines = [f"aliases: {len(read.targets)} in {file}"]
    return lines + [f"warning: {file}: {warning}" for warning in read.warnings]


def _others(checkers: Sequence[object]) -> list[IUserDirectory]:
    return [checker for checker in checkers if IUserDirectory.providedBy(checker)]
