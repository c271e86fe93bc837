"""Attacks on the safety checks, and tests of their fairness: `lumora redteam` (docs/safety.md)."""
