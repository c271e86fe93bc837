"""What a user asks for, independent of any model."""
