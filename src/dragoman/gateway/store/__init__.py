"""Where the governance keeps its state: a database through SQLAlchemy Core, or memory; and the journal of each worker."""
