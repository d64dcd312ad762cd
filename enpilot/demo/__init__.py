"""The demo: two plants from real data, everything on this machine, through the usual commands."""
