"""Facts about models: what they cost, how much they take, what they can do; and how many tokens a text has."""
