"""Tests on recorded sessions; `make test-recorded` runs them, and no other target collects them."""
