"""Broken, slow and vanishing clients against a real server, while a well-behaved client must not be affected."""
