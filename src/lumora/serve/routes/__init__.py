"""One router for each kind of object."""
