"""IMAP for clients: connection, session, commands."""
