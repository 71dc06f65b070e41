"""One module a projection: its fold, and the rows it reads and writes.

A module ends in `async def apply(connection, work)`, listed in `projections.registry`. Folds are pure and work on what
was loaded before; SQL is in `projections/sql/queries/<projection>.sql`.
"""
