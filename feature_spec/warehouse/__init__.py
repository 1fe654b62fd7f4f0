"""Features in the warehouse: the same expressions, compiled through Ibis to SQL and computed where the events are."""
