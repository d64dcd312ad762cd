"""Performance: is the plant on its path, and how sure is that."""
