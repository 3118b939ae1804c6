"""The version of mailpost: year.month.micro."""

__version__ = "26.11.0.dev0"
