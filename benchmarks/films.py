"""Films held against what they should show: cuts, style, cast, and what comes back into sight.

python benchmarks/films.py --films 60                          # real renders: the floor of each figure
python benchmarks/films.py --films 60 --weights data/x/weights # and of a model, which is given the first five frames
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

from lumora.config import VideoShape
from lumora.evaluate.films import measure_films
from lumora.evaluate.shares import Share
from lumora.evaluate.suites import HELD_OUT_SEED
from lumora.evaluate.tracking import Tables
from lumora.generate.pipeline import Pipeline
from lumora.generate.request import Request
from lumora.generate.timeline import Given, Shot
from lumora.generate.weights import DEFAULT_FOLDER
from lumora.video import Video
from lumora.world.clip import FilmClip, make_film


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--size", type=int, default=64, help="pixels of a side")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--weights", type=Path, help="folder of a model")
    options = parser.parse_args()
    shape = VideoShape(1 + 4 * round(2 * options.seconds), options.size, options.size, 8.0)
    tables = Tables.load(DEFAULT_FOLDER / "tables.npz")
    films = [make_film("film", options.seed, index, shape) for index in range(options.films)]
    show("renders", measure_films(tables, films, [film.frames.numpy() for film in films]))
    for style in ("plain", "toon", "pixel art", "black and white"):
        some = [film for film in films if film.scenes[0].style == style]
        show(f"renders, {style}", measure_films(tables, some, [film.frames.numpy() for film in some]))
    if options.weights is not None:
        pipeline = Pipeline.load(options.weights)
        videos = [pipeline.generate(request_of(film, shape, n)).frames for n, film in enumerate(films)]
        show("model", measure_films(tables, films, [video[: shape.frames] for video in videos]))


def request_of(film: FilmClip, shape: VideoShape, seed: int) -> Request:
    """The film by its captions, with its first five frames."""
    told = film.scripts["sentence"].shots
    lengths = [(b - a) / shape.fps for a, b in pairwise((0, *film.cuts, shape.frames))]
    first, *then = [Shot(said.text, seconds) for said, seconds in zip(told, lengths, strict=True)]
    given = (Given(Video(film.frames[:5].numpy(), shape.fps)),)
    how = {"width": shape.width, "height": shape.height, "fps": shape.fps, "seed": seed}
    return Request(first.prompt, first.seconds, given=given, then=tuple(then), **how)


def show(name: str, shares: dict[str, Share]) -> None:
    print(name)
    for what, share in shares.items():
        low, high = share.interval()
        print(f"  {what:<24}{share.value:>7.1%} [{low:6.1%},{high:6.1%}]  of {share.stated}")


if __name__ == "__main__":
    main()
