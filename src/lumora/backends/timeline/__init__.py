"""The time line of a request as frames: segments, the pixels of given frames, and audio. No model."""
