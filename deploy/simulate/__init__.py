"""A believable paid bot, invented from a seed, and the books that say what it must add up to.

Nothing here imports the product's folds: the books are an oracle of their own, written from the contract.
"""

from __future__ import annotations

from deploy.simulate.books import Books
from deploy.simulate.faults import DEMO, NONE, Faults, parse_faults
from deploy.simulate.generator import Emission, Plan, simulate

__all__ = ["DEMO", "NONE", "Books", "Emission", "Faults", "Plan", "parse_faults", "simulate"]
