"""What energy should have been: regression on relevant variables, and whether it can be trusted."""
