"""Monthly closing: one screen for what people sign."""
