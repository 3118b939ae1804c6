"""Folders whose messages are a program's data: it writes two methods, the rest of a mail store is here."""

from mailpost.storage.virtual.folder import VirtualFolder
from mailpost.storage.virtual.interfaces import Item, IVirtualFolder
from mailpost.storage.virtual.mounted import MountedStore
from mailpost.storage.virtual.store import Folders, VirtualStore

__all__ = ["Folders", "IVirtualFolder", "Item", "MountedStore", "VirtualFolder", "VirtualStore"]
