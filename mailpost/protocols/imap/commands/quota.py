"""GETQUOTA and GETQUOTAROOT. All folders of an account share one quota root, "", where it has a limit at all.

RFC: 9208 §4.1.1, §4.1.2, §5.1 (STORAGE), §5.2 (MESSAGE)
"""

from __future__ import annotations

from typing import Any

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import canonical_name, known_name
from mailpost.protocols.imap.commands.context import Context, utf8_names
from mailpost.storage.offload import settled
from mailpost.storage.records import QuotaLimit, Usage
from mailpost.wire.imap.commands import GetQuota, GetQuotaRoot
from mailpost.wire.imap.quota import quota_line, quotaroot_line

ROOT = b""


async def get_quota(context: Context, command: GetQuota) -> None:
    """GETQUOTA, of the account's one root."""
    if command.root != ROOT or not context.account.quota_limit:
        raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such quota root")
    context.write(await _quota(context.account))


async def get_quota_root(context: Context, command: GetQuotaRoot) -> None:
    """GETQUOTAROOT, of a folder that there is or could be."""
    account = context.account
    name = known_name(command.mailbox, account.separator)
    if not any(folder.name == name for folder in account.folders()):
        name = canonical_name(name, account.separator)
    if account.quota_limit:
        context.write([quotaroot_line(name, [ROOT], utf8_names(context)), await _quota(account)])
    else:
        context.write(quotaroot_line(name, [], utf8_names(context)))


async def _quota(account: Any) -> bytes:
    limit: QuotaLimit = account.quota_limit
    usage: Usage = await settled(account.usage())
    resources = []
    if limit.octets is not None:
        resources.append((b"STORAGE", -(-usage.octets // 1024), limit.octets // 1024))
    if limit.messages is not None:
        resources.append((b"MESSAGE", usage.messages, limit.messages))
    return quota_line(ROOT, resources)
