"""Where a video comes from: a signed manifest in the file, a mark in its pixels, an index of all that was delivered."""
