"""Generations: the next build of all tables beside the live one, compared with it, put in its place, taken back.

A generation is the set of projected tables, views and functions in one schema: `botpulse` is live, `botpulse_next` is
being built, `botpulse_previous` is what was live before. They are swapped by renaming. Read `rebuild` first.
"""
