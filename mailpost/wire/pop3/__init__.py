"""The language of POP3: octets to commands, values to octets."""
