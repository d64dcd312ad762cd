"""What energy costs: bands, demand, power factor, bills, invoices (F15, F21, F26, F27)."""
