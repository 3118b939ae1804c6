"""What clients speak: sockets, time, TLS."""
