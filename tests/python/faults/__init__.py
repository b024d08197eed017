"""The faults of docs/explanation/reliability.md."""
