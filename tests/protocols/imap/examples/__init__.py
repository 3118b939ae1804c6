"""The situations of the examples in IMAP's RFCs, told anew: those that no other test has.

Each test names the example. Names, numbers and messages are our own.
"""
