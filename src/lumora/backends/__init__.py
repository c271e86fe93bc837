"""Models behind one interface (`base.py`)."""
