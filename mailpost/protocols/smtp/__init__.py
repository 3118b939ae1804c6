"""What LMTP and submission share: connection, session, the commands of SMTP."""
