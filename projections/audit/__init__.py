"""The audit trail: admin actions, users' changes, facts about money, hash-chained in the order of the log.

    facts        what of a batch belongs into the trail: pure
    chain        the rows of it, each hashed with the one before: pure
    projection   the rows written with everything else of the batch
    heads        the chains' ends, published so that a chain written anew shows
    verify       the chains walked, and compared with what was published

There is one chain a partition of the log, and its rows are a function of that partition alone: whatever a batch ends
with, whatever other partitions do, a second fold of the log gives the same rows. So the trail stays outside the
generations of the tables: a rebuild writes one of its own, compares the two, and leaves the old one in its place.
"""
