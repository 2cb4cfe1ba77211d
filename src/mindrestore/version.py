"""The version, which files, pages and the command line name; nothing else is imported to know it."""

__version__ = "0.1.0"
