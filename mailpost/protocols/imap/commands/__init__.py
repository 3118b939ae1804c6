"""One module per family of IMAP commands."""
