"""Models of another server, over the Videos API."""
