"""Restore photographs over HTTP: a local page, a queue, and one process that holds the networks."""
