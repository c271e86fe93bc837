"""Attacks on our own checks, and whom they treat unlike others: what `lumora redteam` measures (docs/safety.md)."""
