"""From readings to figures."""
