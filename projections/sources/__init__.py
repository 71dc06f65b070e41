"""Where a replay reads the log: from the broker, or from an export of it."""
