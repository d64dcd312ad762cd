"""One folder a page: filters (address), model (queries), words (sentences), view (elements)."""
