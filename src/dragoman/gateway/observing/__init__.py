"""What a gateway tells of its requests: metrics, log lines, traces, samples of what was said, and alerts."""
