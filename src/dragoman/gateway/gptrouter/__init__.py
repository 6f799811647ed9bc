"""GPTRouter's HTTP API as a face of the gateway: `routes.gptrouter_routes` gives its part of the route table."""
