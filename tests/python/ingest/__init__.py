"""Every source of events: the same invocations, limits and privacy."""
