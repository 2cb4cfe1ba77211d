"""Small published networks to compare with: read from arrays, run with MindSpore, written from their papers."""
