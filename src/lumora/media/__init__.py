"""Video and audio in memory, and their files."""
