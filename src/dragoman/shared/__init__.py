"""What several processes know together, through a Valkey or Redis server: leases of limits and budgets, cooldowns."""
