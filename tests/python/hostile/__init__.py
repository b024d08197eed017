"""Broken, slow and vanishing clients, each against a real server beside a client that must notice nothing."""
