"""The Python SDK: OpenAI-shaped functions and objects over the engine. Never imports the gateway."""
