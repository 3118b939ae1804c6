"""The version of mailpost: year.month.micro."""

__version__ = "26.11.1.dev0"
