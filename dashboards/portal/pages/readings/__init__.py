"""Raw readings of one series: the deepest level that every figure leads down to."""
