"""Runners of the code blocks of the documentation, by what a block is. Each gets a block and a new home folder."""
