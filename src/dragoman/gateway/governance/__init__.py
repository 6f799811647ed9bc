"""The gateway's governance: virtual keys, budgets, limits, the ledger. Pure logic; `gateway.store` keeps its state."""
