"""Trains a model on your own videos: a folder of video files with a line of text for each.

    python examples/train_on_own_videos.py WORK_DIR

This example draws videos of moving squares to train on; replace them by yours. The preset `tiny` shows all steps in
seconds and learns almost nothing; `cpu` and `gpu` train real models (see src/lumora/presets.py). The same on the
command line: `lumora train all --preset tiny --dataset WORK_DIR/videos --run-dir WORK_DIR/model`.
"""

import json
import sys
from pathlib import Path

import numpy as np

from lumora import Pipeline, Request, Video
from lumora.config import Resolution
from lumora.data.video_folder import import_videos
from lumora.presets import tiny
from lumora.train.run import encode_latents_stage, train_codec, train_transformer

COLORS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 220)}


def main(work_dir: Path) -> None:
    videos, run_dir = work_dir / "videos", work_dir / "model"
    draw_videos(videos)

    preset = tiny()
    num_clips = import_videos(videos, preset.model.shape, run_dir / "frames")
    print(f"{num_clips} clips of {videos}")
    train_codec(preset, run_dir)
    encode_latents_stage(preset, run_dir)
    train_transformer(preset, run_dir)

    pipeline = Pipeline.from_pretrained(run_dir / "weights")
    request = Request("a red square moves right", seconds=1.0, size=Resolution(32, 32), num_inference_steps=10)
    print(pipeline.generate(request).save(work_dir / "square.mp4"))


def draw_videos(folder: Path) -> None:
    """One .mp4 per color and direction, and a metadata.jsonl with the name and the text of each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for color, rgb in COLORS.items():
        for direction in ("left", "right"):
            frames = np.full((17, 48, 48, 3), 230, np.uint8)
            for t in range(17):
                x = 2 * t if direction == "right" else 32 - 2 * t
                frames[t, 16:32, x : x + 16] = rgb
            file = Video(frames, fps=8.0).save(folder / f"{color}-{direction}.mp4")
            lines.append(json.dumps({"file_name": file.name, "text": f"a {color} square moves {direction}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
