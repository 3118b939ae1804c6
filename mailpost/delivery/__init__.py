"""The one way in for new mail."""
