"""Pages that open from disk in a browser: reports of evaluations and restorations, and their comparison."""
