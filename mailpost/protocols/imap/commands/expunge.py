"""EXPUNGE and UID EXPUNGE. The EXPUNGE lines come out of the journal, as for everybody's expunges.

RFC: 3501 §6.4.3, 9051 §6.4.3, 4315 §2.1 (UID EXPUNGE), 7162 §3.2.7, §3.2.9 (HIGHESTMODSEQ)
"""

from __future__ import annotations

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.imap.commands.context import Completed, Context
from mailpost.storage.offload import settled
from mailpost.wire.imap.commands import Expunge


async def expunge(context: Context, command: Expunge) -> Completed | None:
    """Remove the messages that have \\Deleted, all of them or those among the named."""
    selected = context.selected
    assert selected is not None
    if selected.read_only:
        raise MailError(ErrorKind.READ_ONLY, "The mailbox is open read-only")
    uids = None if command.uids is None else selected.named(command.uids, uid=True)[0]
    gone = await settled(selected.mailbox.expunge(uids, origin=selected)) if uids is None or uids else []
    return Completed(code=selected.latest()) if gone else None
