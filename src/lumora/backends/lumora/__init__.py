"""The backend of lumora's own model."""
