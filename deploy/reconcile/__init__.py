"""A payment provider's own list of transactions, compared with the tables."""
