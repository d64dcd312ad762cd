"""``enpilot bench portal``: pages of a works with a year of meters, as browsers ask for them."""
