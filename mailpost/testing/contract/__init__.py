"""The promises of a mail store as tests, by topic; `mailpost.testing.storesuite` puts them together."""
