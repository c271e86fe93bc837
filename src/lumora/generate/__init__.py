"""From a request to a video. `request` needs no torch; `pipeline` does. `from lumora import …` offers both."""
