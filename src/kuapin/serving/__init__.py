"""A trained shop as a service: REST, live feedback, keys; above everything but the command line."""
