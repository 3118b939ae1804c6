"""Tier 1: Maildir++ trees, shared with other programs."""
