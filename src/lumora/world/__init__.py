"""A procedural physical world: scenes are sampled, simulated, rendered and captioned, with exact ground truth."""
