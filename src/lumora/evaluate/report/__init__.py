"""Figures on the screen, as JSON and as a page."""
