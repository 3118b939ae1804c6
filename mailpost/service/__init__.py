"""Configuration, assembly, TLS, twistd."""
