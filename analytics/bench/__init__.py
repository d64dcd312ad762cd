"""What the analytics of an installation can do, beside what others do with the same data."""
