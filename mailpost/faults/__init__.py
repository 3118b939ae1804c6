"""Servers that misbehave on purpose: rules for what goes wrong, when, on whose connection.

`docs/testing-faults.md` shows each of them with a client that meets it.
"""
