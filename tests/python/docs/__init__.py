"""The documentation: its code blocks, links, option tables and the tests that it names."""
