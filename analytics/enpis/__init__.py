"""Energy per unit of output, its path and its verdict."""
