"""Paths by which LiteLLM's programs import what they build their hooks on: `dragoman.integrations.custom_logger`."""
