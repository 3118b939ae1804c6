"""Makes `twistd mailpost` known to Twisted; what it does is imported when it is asked for."""

from twisted.application.service import ServiceMaker

mailpost = ServiceMaker(
    "mailpost",
    "mailpost.service.twistd",
    "A mail server: IMAP over Maildir.",
    "mailpost",
)
