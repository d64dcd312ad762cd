"""Who signs in, what they may, and the pages for it."""
