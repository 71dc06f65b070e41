"""An existing bot's history as events: from its tables, or from files, by a mapping that its owner writes."""
