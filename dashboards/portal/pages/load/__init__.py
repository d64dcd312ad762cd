"""Load and demand: what sets the demand charge."""
