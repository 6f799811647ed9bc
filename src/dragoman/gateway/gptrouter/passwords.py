"""`python -m dragoman.gateway.gptrouter.passwords` asks for a password and prints the hash that a configuration keeps of it."""

from __future__ import annotations

from getpass import getpass

from dragoman.gateway.gptrouter.accounts import hash_password

if __name__ == "__main__":
    print(hash_password(getpass("password: ")))  # noqa: T201 - that is what it is for
