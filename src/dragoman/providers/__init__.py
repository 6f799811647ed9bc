"""Who hosts the models: rows, credentials, URLs. Pure: the environment comes in as an argument."""
