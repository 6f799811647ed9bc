"""A real model with no key: its weights (`weights`), the processes that run it (`runtime`) and what runs in them (`child`)."""
