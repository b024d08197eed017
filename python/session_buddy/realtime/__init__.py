"""The live side: the WebSocket server and what it publishes."""
