"""What may be made and shown: a policy, a check of prompts, a review of frames, and attacks on them
(docs/safety.md)."""
