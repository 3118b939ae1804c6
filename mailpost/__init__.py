"""mailpost: a pluggable mail server on Twisted."""
