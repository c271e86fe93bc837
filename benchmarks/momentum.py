"""What the reading of momentum around a hit is worth: the instrument on real renders, beside the simulator's truth.

python benchmarks/momentum.py --hits 40
"""

from __future__ import annotations

import argparse

import numpy as np

from lumora.backends.lumora.weights import DEFAULT_FOLDER
from lumora.config import VideoShape
from lumora.evaluate.instruments.color_tracker import ColorTables, tracked
from lumora.evaluate.metrics.collisions import held_out_hits, momentum_errors
from lumora.evaluate.metrics.estimates import table
from lumora.evaluate.sampling import given_frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hits", type=int, default=40)
    parser.add_argument("--size", type=int, default=64, help="pixels of a side")
    options = parser.parse_args()
    shape = VideoShape(17, options.size, options.size, 8.0)
    tables = ColorTables.load(DEFAULT_FOLDER / "tables.npz")
    hits = held_out_hits("full", options.hits, shape, given_frames(4))
    tracks = [tracked(tables, hit.frames)[2] for hit in hits]
    met = np.percentile([hit.met for hit in hits], (0, 50, 100))
    print("They meet at frame {:.0f} to {:.0f}, half of them until {:.0f}.".format(*met[[0, 2, 1]]))
    print(table({"floor": momentum_errors(hits, tracks, tracks)["floor"]}))


if __name__ == "__main__":
    main()
