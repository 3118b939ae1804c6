"""Bytes to values and back: the grammars of the protocols. No sockets, no storage."""
