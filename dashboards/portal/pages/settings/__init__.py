"""Settings: what the site is registered as, and every change to it."""
