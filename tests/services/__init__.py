"""The real services that tests run on; each is ended by whoever started it."""
