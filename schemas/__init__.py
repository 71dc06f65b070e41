"""The language of Botpulse: events, topics and the rules that every reader shares.

`events` has a class for every event, `codec` turns records into events (the one rule of what is valid) and events
into bytes, `topics` names where they lie. Beside them are the rules that more than one reader needs: `tiers`,
`charges`, `activity`, `limits`, `partitioner`, `dead_letters`.

Nothing here imports another package of ours, and importing it needs pydantic alone.
"""
