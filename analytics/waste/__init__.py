"""Energy that nobody needed, and meters that do not tell the truth: found, priced, ranked."""
