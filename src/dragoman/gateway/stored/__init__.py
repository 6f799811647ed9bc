"""Models and credentials that come by the admin API: sealed in the database, served beside those of the configuration file."""
