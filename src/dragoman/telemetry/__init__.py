"""What is told of calls to the world outside: traces and metrics by OpenTelemetry, for the SDK and the gateway alike."""
