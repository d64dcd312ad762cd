"""Data intake: what comes from where, how late, and what was refused."""
