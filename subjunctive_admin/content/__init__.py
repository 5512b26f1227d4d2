"""Content: find it, change it, check it."""
