"""Sources of candidates and the item index."""
