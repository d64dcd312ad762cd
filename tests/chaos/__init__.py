"""Everything is killed, again and again: `make chaos`."""
