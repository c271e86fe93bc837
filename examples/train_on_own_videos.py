"""Teach a model your own videos: a folder of files and a line of text for each.

    python examples/train_on_own_videos.py WORK_FOLDER

The videos are squares that wander, drawn here so that there is something to train on; put yours in their place. The
preset `tiny` shows the way in seconds and learns next to nothing; `cpu` and `gpu` are for real (src/lumora/presets.py).
The same from the shell: `lumora train all --preset tiny --videos WORK_FOLDER/videos --folder WORK_FOLDER/model`.
"""

import json
import sys
from pathlib import Path

import numpy as np

from lumora import Pipeline, Request, Video
from lumora.data.video_folder import cache_videos
from lumora.presets import tiny
from lumora.train.run import make_latents, train_codec, train_transformer

COLORS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 220)}


def main(work: Path) -> None:
    videos, model = work / "videos", work / "model"
    draw_videos(videos)

    preset = tiny()
    clips = cache_videos(videos, preset.model.shape, model / "frames")
    print(f"{clips} clips of {videos}")
    train_codec(preset, model)
    make_latents(preset, model)
    train_transformer(preset, model)

    request = Request("a red square moves right", seconds=1.0, width=32, height=32, steps=10)
    print(Pipeline.load(model / "weights").generate(request).save(work / "square.mp4"))


def draw_videos(folder: Path) -> None:
    """One .mp4 a colour and direction, and metadata.jsonl, which names the files and says what they show."""
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
