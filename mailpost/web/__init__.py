"""A first inbox to look at: mail in a browser, live. For demonstrations and tests; and for users who log in."""
