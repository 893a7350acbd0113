"""``/console``: pages for the people who look after a shop; nothing here is asked for by shops' own programs."""
