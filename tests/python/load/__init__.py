"""Many clients at a time, and the load test that users run."""
