"""A mail store in memory."""

from mailpost.storage.memory.store import MemoryAccount, MemoryStore

__all__ = ["MemoryAccount", "MemoryStore"]
