"""What a plant says counts: calendar, energy, factors, output."""
