"""LMTP: mail servers hand over mail for local users. RFC: 2033."""
