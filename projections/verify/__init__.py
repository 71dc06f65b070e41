"""The log folded a second time, the slow and simple way, to be compared with what the projections have written.

One event at a time, plain dictionaries, everything of one subject together, nothing ever taken back: what a fact
replaces is computed anew. Shares with the projections the rule of what is valid and the tier rules, which are of
`schemas`, and no line of any fold. It is also what the tests of the projections compare their tables with.
"""
