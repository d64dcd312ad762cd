"""Reports: the paper, each with its state, version and checksum."""
