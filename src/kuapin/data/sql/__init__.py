"""What a running service writes: events, items, erasures and keys, in SQLite or PostgreSQL."""
