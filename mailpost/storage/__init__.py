"""Values to disk and back: the stores."""
