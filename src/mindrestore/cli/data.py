"""`mindrestore data`: check a folder of pairs, put haze over clear images, render scenes to start with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm


def add_parser(subparsers: Any) -> None:
    """Add the sub-command and its three verbs."""
    parser = subparsers.add_parser("data", help="check, make and render training data", description=__doc__)
    parser.set_defaults(run=run)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_check(verbs)
    _add_synth(verbs)
    _add_scenes(verbs)
    for verb in verbs.choices.values():
        verb.set_defaults(parser=verb)


def run(args: argparse.Namespace) -> int:
    """Run the verb that was given; 0 for success, 1 when `check` finds something wrong."""
    return {"check": _check, "synth": _synth, "scenes": _scenes}[args.verb](args)


def _add_check(verbs: Any) -> None:
    parser = verbs.add_parser(
        "check",
        help="list missing partners, unreadable, unequal and too small images",
        description="Check a folder of image pairs. Exit code 0: nothing wrong; 1: something is; 2: no such data.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the data set")
    parser.add_argument(
        "--dataset", default="auto", metavar="NAME", help="name in the catalogue (default: recognise it)"
    )
    parser.add_argument(
        "--min-size", type=_positive, default=8, metavar="P", help="smallest side in pixels (default 8)"
    )


def _add_synth(verbs: Any) -> None:
    parser = verbs.add_parser(
        "synth",
        help="put haze over clear images",
        description="Write OUT/hazy and OUT/clear by the atmospheric scattering model. Depth maps are taken from a "
        "folder `depth` beside CLEAR_DIR (same stem; 16-bit PNG in millimetres or .npy in metres); without a map a "
        "smooth stand-in is invented. OUT/haze.jsonl logs the parameters of every image.",
    )
    parser.add_argument("clear_dir", type=Path, metavar="CLEAR_DIR", help="folder of clear images")
    parser.add_argument("out", type=Path, metavar="OUT", help="destination folder")
    parser.add_argument(
        "--per-image", type=_positive, default=1, metavar="K", help="hazy versions per image (default 1)"
    )
    parser.add_argument(
        "--beta",
        type=_range,
        metavar="LOW:HIGH",
        help="scattering coefficient in 1/m (default: 25 to 75 %% of the light passes at the median distance)",
    )
    parser.add_argument(
        "--airlight",
        type=_unit_range,
        default=(0.7, 1.0),
        metavar="LOW:HIGH",
        help="brightness of the haze (default 0.7:1.0)",
    )
    parser.add_argument(
        "--nonhomogeneous",
        type=_share,
        default=0.2,
        metavar="SHARE",
        help="share of images with patchy haze (default 0.2)",
    )
    parser.add_argument("--depth", type=Path, metavar="DIR", help="folder of depth maps")
    parser.add_argument(
        "--disparity-scale",
        type=_positive_number,
        metavar="S",
        help="the maps hold disparity; distance = S / disparity",
    )
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _add_scenes(verbs: Any) -> None:
    parser = verbs.add_parser(
        "scenes",
        help="render clear scenes with exact depth",
        description="Render streets, parks and rooms into OUT/clear/0001.png and OUT/depth/0001.png (16 bits, "
        "millimetres along each pixel's ray; 65535 is the sky and beyond).",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="destination folder")
    parser.add_argument("--count", type=_positive, default=20, metavar="N", help="number of scenes (default 20)")
    parser.add_argument("--size", type=_size, default=(320, 240), metavar="WxH", help="pixels (default 320x240)")
    parser.add_argument(
        "--seed", type=int, default=0, help="scene n of a seed is the same whatever the count (default 0)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _check(args: argparse.Namespace) -> int:
    from mindrestore.data.check import check_folder

    report = check_folder(args.folder, args.dataset, args.min_size, lambda pairs: tqdm(pairs, "checking", disable=None))
    print(report.format())
    return 0 if report.clean else 1


def _synth(args: argparse.Namespace) -> int:
    from mindrestore.data.degrade import HazeRanges
    from mindrestore.data.synth import LOG_NAME, SynthOptions, synthesize

    ranges = HazeRanges(args.beta, args.airlight, nonhomogeneous=args.nonhomogeneous)
    options = SynthOptions(ranges, args.per_image, args.depth, args.disparity_scale, args.seed, args.overwrite)
    count = sum(1 for _ in tqdm(synthesize(args.clear_dir, args.out, options), "haze", unit="image", disable=None))
    print(f"{count} hazy images in {args.out / 'hazy'}, their parameters in {args.out / LOG_NAME}")
    return 0


def _scenes(args: argparse.Namespace) -> int:
    from mindrestore.data.scenes import write_scenes

    written = write_scenes(args.out, args.count, args.size, args.seed, overwrite=args.overwrite)
    count = sum(1 for _ in tqdm(written, "scenes", total=args.count, unit="scene", disable=None))
    print(f"{count} scenes in {args.out / 'clear'}, their distances in {args.out / 'depth'}")
    return 0


def _positive(text: str) -> int:
    return _parse(text, int, lambda value: value > 0, "a whole number of at least 1")


def _positive_number(text: str) -> float:
    return _parse(text, float, lambda value: value > 0, "a number above 0")


def _share(text: str) -> float:
    return _parse(text, float, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def _range(text: str) -> tuple[float, float]:
    return _parse(text, _pair_of(float, ":"), lambda ends: 0 <= ends[0] <= ends[1], "LOW:HIGH with 0 <= LOW <= HIGH")


def _unit_range(text: str) -> tuple[float, float]:
    return _parse(text, _range, lambda ends: ends[1] <= 1, "LOW:HIGH within 0 and 1")


def _size(text: str) -> tuple[int, int]:
    return _parse(text.lower(), _pair_of(int, "x"), lambda sides: min(sides) > 0, "a size such as 320x240")


def _pair_of(convert: Callable[[str], Any], separator: str) -> Callable[[str], tuple]:
    """Read two values, or one for both."""

    def read(text: str) -> tuple:
        first, _, second = text.partition(separator)
        return convert(first), convert(second or first)

    return read


def _parse(text: str, convert: Callable[[str], Any], allowed: Callable[[Any], bool], wanted: str) -> Any:
    try:
        value = convert(text)
    except ValueError:
        value = None
    if value is None or not allowed(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value
