"""The only sockets of the house."""
