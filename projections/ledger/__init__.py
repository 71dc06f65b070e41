"""Money: which facts count, once each, and what they make of a charge."""
