"""lumora's own model: codec, transformer and text encoder behind the interface of all backends."""
