"""IMAP's grammar, both ways. RFC: 3501 §9, 9051 §9."""
