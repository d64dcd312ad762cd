"""Energy flow and meter balance: where it went, and whether the meters agree."""
