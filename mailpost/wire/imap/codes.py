"""Response codes: what a kind of failure is called in brackets behind NO.

RFC: 5530 §3, 3501 §7.1, 9051 §7.1
"""

from __future__ import annotations

from mailpost.mail.errors import BadUrlError, ErrorKind, MailError
from mailpost.wire.imap.search import CHARSETS

_CODES = {
    ErrorKind.NO_SUCH_FOLDER: b"NONEXISTENT",
    ErrorKind.NO_TARGET: b"TRYCREATE",
    ErrorKind.FOLDER_EXISTS: b"ALREADYEXISTS",
    ErrorKind.BAD_FOLDER_NAME: b"CANNOT",
    ErrorKind.NOT_SELECTABLE: b"NONEXISTENT",
    ErrorKind.HAS_CHILDREN: b"HASCHILDREN",  # RFC: 9051 §7.1
    ErrorKind.READ_ONLY: b"NOPERM",
    ErrorKind.NO_PERMISSION: b"NOPERM",
    ErrorKind.OVER_QUOTA: b"OVERQUOTA",  # RFC: 9208 §4.3.1
    ErrorKind.DISK_FULL: b"OVERQUOTA",
    ErrorKind.MESSAGE_TOO_BIG: b"TOOBIG",  # RFC: 7889 §4, 4469 §5
    ErrorKind.LIMIT: b"LIMIT",
    ErrorKind.EXPUNGED: b"EXPUNGEISSUED",
    ErrorKind.IN_USE: b"INUSE",
    ErrorKind.UNAVAILABLE: b"UNAVAILABLE",
    ErrorKind.CORRUPT: b"CORRUPTION",
    ErrorKind.BUG: b"SERVERBUG",
    ErrorKind.BAD_CHARSET: b"BADCHARSET (%b)" % b" ".join(CHARSETS),
    ErrorKind.UNKNOWN_ENCODING: b"UNKNOWN-CTE",  # RFC: 3516 §4.3
    ErrorKind.CANNOT: b"CANNOT",
    ErrorKind.AUTHENTICATION_FAILED: b"AUTHENTICATIONFAILED",
    ErrorKind.AUTHORIZATION_FAILED: b"AUTHORIZATIONFAILED",
    ErrorKind.PRIVACY_REQUIRED: b"PRIVACYREQUIRED",
    ErrorKind.NO_SUCH_USER: b"NONEXISTENT",
    ErrorKind.RELAY_DENIED: b"NOPERM",
    ErrorKind.SENDER_DENIED: b"NOPERM",
    ErrorKind.TOO_MANY_RECIPIENTS: b"LIMIT",
    ErrorKind.MESSAGE_REFUSED: b"NOPERM",
    ErrorKind.LOOP: b"CANNOT",
    ErrorKind.BAD_URL: b"BADURL",  # RFC: 4469 §4.1
}


def code_of(error: MailError) -> bytes:
    """The response code of a failure, without its brackets."""
    code = _CODES[error.kind]
    if isinstance(error, BadUrlError):
        return code + b" " + error.url.translate(_IN_CODE)
    return code


_IN_CODE = bytes(octet if 32 < octet < 127 and octet != 93 else 63 for octet in range(256))
"""What may stand in a code as it is; anything else is shown as "?". RFC: 4469 §5 (url-resp-text)"""
