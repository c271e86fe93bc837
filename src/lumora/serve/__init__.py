"""The HTTP server: the Videos API, its jobs and the studio. The API process never imports torch."""
