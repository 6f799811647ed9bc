"""The HTTP server in front of every model."""
