"""Request to published file: the one entry point."""
