"""Photographs and their files: read, write, and keep what belongs to a picture."""
