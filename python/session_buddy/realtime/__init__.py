"""The WebSocket server, its snapshots, and a Prometheus exporter."""
