"""What retrofits really saved: avoided energy with its uncertainty, counted once."""
