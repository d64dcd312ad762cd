"""Output: what was made, entered or imported."""
