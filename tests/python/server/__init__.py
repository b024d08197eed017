"""The server as a process: its options, its HTTP API, authentication and TLS."""
