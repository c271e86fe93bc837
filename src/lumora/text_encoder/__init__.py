"""The frozen text encoder."""
