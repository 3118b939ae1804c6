"""Twisted's own tests of its IMAP server pass on our class, but for differences that are named here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CONTINUATION = "the words behind + are others; what is left waiting makes the reactor unclean"
CODE = "a refusal has a response code, or other words (RFC 5530)"
BUG = "the client is not told the text of an exception, only a number that is in the log"
LYING = "the mailbox claims nine messages and has none to show: ours counts what it shows"
REFERENCE = "the pattern is put behind the reference as it is, and matched with the case of the name (RFC 3501 §6.3.8)"
CAPABILITIES = "more is announced"
DATE = "what stands in the place of the date is none (RFC 3501 §9, date-time)"

KNOWN = {
    "AuthenticatorTests.test_authNotBase64": "what is not base64 is BAD (RFC 3501 §6.2.2)",
    "AuthenticatorTests.test_challengerRaisesException": BUG,
    "AuthenticatorTests.test_customChallengers": "the tagged OK tells the capabilities (RFC 3501 §6.2.2)",
    "AuthenticatorTests.test_missingPortal": CODE,
    "AuthenticatorTests.test_unexpectedLoginFailure": BUG,
    "AuthenticatorTests.test_unhandledCredentials": CODE,
    "HandCraftedTests.test_emptyStringLiteral": CONTINUATION,
    "HandCraftedTests.test_fragmentedStringLiterals": CONTINUATION,
    "IMAP4ServerTests.testCapability": CAPABILITIES,
    "IMAP4ServerTests.testCapabilityWithAuth": CAPABILITIES,
    "IMAP4ServerTests.testCreate": "the separator at the end of a name is taken off, so the folder exists already",
    "IMAP4ServerTests.testDeleteWithInferiorHierarchicalNames": CODE,
    "IMAP4ServerTests.testExpunge": LYING,
    "IMAP4ServerTests.testFailedStatus": CODE,
    "IMAP4ServerTests.testFullAppend": DATE,
    "IMAP4ServerTests.testIllegalDelete": CODE,
    "IMAP4ServerTests.testLSub": REFERENCE,
    "IMAP4ServerTests.testList": REFERENCE,
    "IMAP4ServerTests.testNonExistentDelete": CODE,
    "IMAP4ServerTests.testPartialAppend": DATE,
    "IMAP4ServerTests.testSelect": LYING,
    "IMAP4ServerTests.test_LSubNoRegex": REFERENCE,
    "IMAP4ServerTests.test_checkFail": BUG,
    "IMAP4ServerTests.test_examine": LYING,
    "IMAP4ServerTests.test_loginException": BUG,
    "IMAP4ServerTests.test_mailboxWithoutNamespace": "folders are personal, also where nobody says so",
    "IMAP4ServerTests.test_selectWithoutMailbox": CODE,
    "PipeliningTests.test_synchronousFetch": "what is behind an asynchronous command waits for a turn of the reactor",
    "TLSTests.test_loginBeforeSTARTTLS": "over loopback a password may be sent without TLS",
    "TimeoutTests.test_longFetchDoesntTimeout": LYING,
}
"""Which tests fail, and why they may."""


def test_nothing_else_fails() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.protocols.imap.twisted_suite"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[3],
        check=True,
    )
    outcome = json.loads(done.stdout)
    assert outcome["failed"] == sorted(KNOWN)
    assert outcome["ran"] >= 350
