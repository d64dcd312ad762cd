"""Overview: what happened on the last complete day, and what to do about it."""
