"""The error of the momentum reading around a collision, on real renders, compared with the simulator.

python benchmarks/momentum.py --num-clips 40
"""

from __future__ import annotations

import argparse

import numpy as np

from lumora.config import VideoShape
from lumora.evaluate.evaluation_data import COLOR_TABLES
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import track_colors
from lumora.evaluate.metrics.collisions import held_out_collisions, momentum_errors
from lumora.evaluate.metrics.metric_table import format_columns
from lumora.evaluate.sampling import given_frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-clips", type=int, default=40)
    parser.add_argument("--size", type=int, default=64, help="side of the square clips in pixels")
    options = parser.parse_args()
    tables = ColorTables.load(COLOR_TABLES)
    shape = VideoShape(17, options.size, options.size, 8.0)
    clips = held_out_collisions("full", options.num_clips, shape, given_frames(temporal_compression=4))
    tracks = [track_colors(tables, clip.frames).tracks for clip in clips]
    first, median, last = np.percentile([clip.contact for clip in clips], (0, 50, 100))
    print(f"Frame of the contact: {first:.0f} to {last:.0f}, median {median:.0f}.")
    print(format_columns({"floor": momentum_errors(clips, tracks, tracks)["floor"]}))


if __name__ == "__main__":
    main()
