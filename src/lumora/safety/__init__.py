"""Moderation: the policy, the checks of prompts and frames, and the training of the prompt check (docs/safety.md)."""
