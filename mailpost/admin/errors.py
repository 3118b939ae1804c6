"""What a person at the terminal can do something about."""


class CommandError(Exception):
    """A command that cannot be done; the text says why."""


class SourceError(Exception):
    """A path that holds no mail that could be read; the text names it."""
