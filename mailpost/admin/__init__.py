"""The `mailpost` command."""
