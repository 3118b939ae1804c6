"""Tiers 2 and 3: what is known of an account beside its tree, in two SQLite files."""
