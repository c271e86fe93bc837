"""A physical world, procedurally made, rendered and captioned, with exact ground truth."""
