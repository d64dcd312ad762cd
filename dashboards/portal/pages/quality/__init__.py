"""Data quality: which figures cannot be trusted, and who fixes it."""
