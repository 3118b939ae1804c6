"""What is announced beside the ways to log in.

RFC: 3501 §6.1.1, 9051 §6.1.1
"""

from __future__ import annotations

ALWAYS = (
    "LITERAL+",
    "SASL-IR",
    "IDLE",
    "NAMESPACE",
    "ID",
    "ENABLE",
    "UNSELECT",
    "CHILDREN",
    "ESEARCH",
    "SEARCHRES",
    "PARTIAL",
    "UIDONLY",
    "BINARY",
    "CATENATE",
    "IMAP4rev2",
    "UTF8=ACCEPT",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "COMPRESS=DEFLATE",
    "INPROGRESS",
)
"""What every session has, whatever the store."""
QUOTA = ("QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE")
"""RFC: 9208 §3.1.2, §5"""
OF_STORES = (
    "UIDPLUS",
    "MOVE",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "CONDSTORE",
    "QRESYNC",
    "MULTIAPPEND",
    "REPLACE",
    "OBJECTID",
    "SAVEDATE",
    "PREVIEW",
    "CREATE-SPECIAL-USE",
    *QUOTA,
)
"""What our own stores have; an adapted one may lack some. RFC: 7162 §3.1.1 (CONDSTORE)"""
