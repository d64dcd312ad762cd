"""How good the data of a month are: criteria that pass or fail with their number."""
