"""Pure policy: which deployment, how often, after what wait. Time and randomness are arguments."""
