"""The build, the tools in scripts/ and bench/, and how the tests find programs."""
