"""The descriptions of the WebSocket and HTTP APIs, and clients of other languages that follow them."""
