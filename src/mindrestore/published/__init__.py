"""Command lines of the five published systems, translated into ours before they are parsed: tables and little code."""
