"""One meter: its device, its registers decoded, and the walk that commissions it."""
