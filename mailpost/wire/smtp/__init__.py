"""SMTP and LMTP on the wire: commands, their addresses and parameters, replies, message data. No I/O."""
