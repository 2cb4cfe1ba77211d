"""Trained networks at work: any image size, files and folders, export."""
