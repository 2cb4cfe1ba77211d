"""`mindrestore data`: check a folder of pairs, put haze or rain over clear images, change tones, render scenes."""

from __future__ import annotations

import argparse
from typing import Any

from mindrestore.cli import data_duplicates, data_lists
from mindrestore.cli.arguments import lean, nonempty_path, positive, positive_number, seed, share, size, span, unit_span
from mindrestore.cli.progress import bar

HAZE_OPTIONS = ("beta", "airlight", "nonhomogeneous", "depth", "disparity_scale")
RAIN_OPTIONS = ("angle", "length", "width", "density", "brightness", "veil", "veiled")


def add_parser(subparsers: Any) -> None:
    """Add the sub-command and its verbs."""
    parser = subparsers.add_parser("data", help="check, make and render training data", description=__doc__)
    parser.set_defaults(run=run)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_check(verbs)
    _add_synth(verbs)
    _add_scenes(verbs)
    _add_sidd_patches(verbs)
    _add_transfer(verbs)
    data_lists.add_verbs(verbs)
    data_duplicates.add_verb(verbs)
    for verb in verbs.choices.values():
        verb.set_defaults(parser=verb)


def run(args: argparse.Namespace) -> int:
    """Run the verb that was given; 0 for success, 1 when `check` or `duplicates` finds something wrong."""
    own = {"check": _check, "synth": _synth, "scenes": _scenes, "sidd-patches": _sidd_patches, "transfer": _transfer}
    return {**own, **data_lists.VERBS, "duplicates": data_duplicates.run}[args.verb](args)


def _add_check(verbs: Any) -> None:
    parser = verbs.add_parser(
        "check",
        help="list missing partners, unreadable, unequal and too small images",
        description="Check a folder of image pairs. Exit code 0: no problem; 1: problems; 2: no such data.",
    )
    parser.add_argument("folder", type=nonempty_path, metavar="DIR", help="folder of the data set")
    parser.add_argument(
        "--dataset", default="auto", metavar="NAME", help="data set, see docs/datasets.md (default: recognised)"
    )
    parser.add_argument("--min-size", type=positive, default=8, metavar="P", help="smallest side in pixels (default 8)")


def _add_synth(verbs: Any) -> None:
    parser = verbs.add_parser(
        "synth",
        help="put haze or rain over clear images",
        description="Haze: write OUT/hazy and OUT/clear by the atmospheric scattering model. Depth maps are taken from "
        "a folder `depth` beside CLEAR_DIR (same stem; 16-bit PNG in millimetres or .npy in metres); without a map a "
        "smooth stand-in is invented. Rain: write OUT/input and OUT/target. OUT/haze.jsonl or OUT/rain.jsonl logs the "
        "parameters of every image.",
    )
    parser.add_argument("clear_dir", type=nonempty_path, metavar="CLEAR_DIR", help="folder of clear images")
    parser.add_argument("out", type=nonempty_path, metavar="OUT", help="destination folder")
    parser.add_argument("--kind", choices=("haze", "rain"), default="haze", help="what to add (default haze)")
    parser.add_argument(
        "--per-image", type=positive, default=1, metavar="K", help="degraded versions per image (default 1)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="default 0")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    _add_haze(parser.add_argument_group("haze"))
    _add_rain(parser.add_argument_group("rain"))


def _add_haze(group: Any) -> None:
    group.add_argument(
        "--beta",
        type=span,
        metavar="LOW:HIGH",
        help="scattering coefficient in 1/m (default: 25 to 75 %% of the light passes at the median distance)",
    )
    group.add_argument(
        "--airlight", type=unit_span, metavar="LOW:HIGH", help="brightness of the haze (default 0.7:1.0)"
    )
    group.add_argument(
        "--nonhomogeneous", type=share, metavar="SHARE", help="share of images with patchy haze (default 0.2)"
    )
    group.add_argument("--depth", type=nonempty_path, metavar="DIR", help="folder of depth maps")
    group.add_argument(
        "--disparity-scale",
        type=positive_number,
        metavar="S",
        help="the maps hold disparity; distance = S / disparity",
    )


def _add_rain(group: Any) -> None:
    group.add_argument(
        "--angle", type=lean, metavar="DEGREES", help="largest lean of the streaks to either side (default 40)"
    )
    for name, meaning in (
        ("length", "of a streak, as a share of the shorter side (default 0.06:0.2)"),
        ("width", "of a streak, as a share of the shorter side (default 0.003:0.007)"),
        ("density", "share of the image that streaks cover (default 0.03:0.45)"),
        ("brightness", "opacity of the strongest streaks (default 0.3:0.85)"),
        ("veil", "light that far rain adds, where there is a veil (default 0.05:0.3)"),
    ):
        group.add_argument(f"--{name}", type=unit_span, metavar="LOW:HIGH", help=meaning)
    group.add_argument("--veiled", type=share, metavar="SHARE", help="share of images with a veil (default 0.3)")


def _add_scenes(verbs: Any) -> None:
    parser = verbs.add_parser(
        "scenes",
        help="render clear scenes with exact depth, rainy ones with their clear partners, or data for three tasks",
        description="Clear: render streets, parks and rooms into OUT/clear/0001.png and OUT/depth/0001.png (16 bits, "
        "millimetres along each pixel's ray; 65535 is the sky and beyond). Rain: render streets and parks into "
        "OUT/target/0001.png, the same in the rain into OUT/input/0001.png, the rain's parameters into OUT/rain.jsonl. "
        "All-in-one: render N scenes each into OUT/clean (for noise on the fly), OUT/rain/{input,target} and "
        "OUT/haze/{input,target}, and list them in OUT/train_all_in_one.csv.",
    )
    parser.add_argument("out", type=nonempty_path, metavar="OUT", help="destination folder")
    parser.add_argument("--kind", choices=("clear", "rain", "all-in-one"), default="clear", help="default clear")
    parser.add_argument(
        "--count",
        type=positive,
        default=20,
        metavar="N",
        help="number of scenes, with all-in-one per task (default 20)",
    )
    parser.add_argument("--size", type=size, default=(320, 240), metavar="WxH", help="pixels (default 320x240)")
    parser.add_argument(
        "--seed", type=seed, default=0, help="scene n of a seed is the same whatever the count (default 0)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def _add_sidd_patches(verbs: Any) -> None:
    parser = verbs.add_parser(
        "sidd-patches",
        help="cut SIDD-Medium into training patches",
        description="Cut random patches out of SIDD-Medium (sRGB): OUT/input and OUT/target, same names. The published "
        "training set has 300 patches of 256 pixels of each of the 320 pairs.",
    )
    parser.add_argument("folder", type=nonempty_path, metavar="SIDD_MEDIUM", help="folder of SIDD-Medium")
    parser.add_argument("out", type=nonempty_path, metavar="OUT", help="destination folder, such as SIDD/train")
    parser.add_argument("--patch", type=positive, default=256, metavar="P", help="side in pixels (default 256)")
    parser.add_argument("--per-image", type=positive, default=300, metavar="K", help="patches per pair (default 300)")
    parser.add_argument("--seed", type=seed, default=0, help="default 0")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def _add_transfer(verbs: Any) -> None:
    parser = verbs.add_parser(
        "transfer",
        help="bring hazy images to the tone of another data set",
        description="Write every image of HAZY_DIR to OUT under its own name, each colour through v^(1 / gamma). "
        "The defaults are CrossDehaze's, from remote-sensing images (RSID) to natural ones (NID). Clear images stay as "
        "they are. In training, data.mix does the same on the fly.",
    )
    parser.add_argument("hazy_dir", type=nonempty_path, metavar="HAZY_DIR", help="folder of hazy images")
    parser.add_argument("out", type=nonempty_path, metavar="OUT", help="destination folder; nothing in it is replaced")
    parser.add_argument(
        "--gamma",
        type=positive_number,
        nargs=3,
        metavar=("R", "G", "B"),
        help="exponents, above 1 they brighten (default 1.90 1.91 1.91)",
    )


def _check(args: argparse.Namespace) -> int:
    from mindrestore.data.check import check_folder

    report = check_folder(args.folder, args.dataset, args.min_size, lambda pairs: bar(pairs, "checking", disable=None))
    print(report.format())
    return 0 if report.clean else 1


def _synth(args: argparse.Namespace) -> int:
    from mindrestore.data.synth import SynthOptions, synthesize

    options = SynthOptions(_ranges(args), args.per_image, args.depth, args.disparity_scale, args.seed, args.overwrite)
    count = sum(1 for _ in bar(synthesize(args.clear_dir, args.out, options), args.kind, unit="image", disable=None))
    places = options.places
    print(f"{count} images in {args.out / places.inputs}, their parameters in {args.out / places.log}")
    return 0


def _ranges(args: argparse.Namespace) -> Any:
    """Return the ranges of haze or rain that were asked for, and refuse an option of the other kind."""
    from mindrestore.data.degrade import HazeRanges
    from mindrestore.data.rain import RainRanges

    foreign = RAIN_OPTIONS if args.kind == "haze" else HAZE_OPTIONS
    wrong = [name for name in foreign if getattr(args, name) is not None]
    if wrong:
        args.parser.error(f"--{wrong[0].replace('_', '-')} does not go with --kind {args.kind}")
    kind = HazeRanges if args.kind == "haze" else RainRanges
    given = {name: getattr(args, name, None) for name in kind._fields}
    return kind(**{name: value for name, value in given.items() if value is not None})


def _scenes(args: argparse.Namespace) -> int:
    from mindrestore.data.rain import RainRanges
    from mindrestore.data.scenes import write_scenes
    from mindrestore.data.synth import ALL_IN_ONE_LIST, SynthOptions, all_in_one_scenes, degraded_scenes

    sized = args.out, args.count, args.size, args.seed
    if args.kind == "rain":
        options = SynthOptions(RainRanges(), seed=args.seed, overwrite=args.overwrite)
        written = degraded_scenes(args.out, range(1, args.count + 1), args.size, options)
        places, total = f"{args.out / 'input'} and {args.out / 'target'}", args.count
    elif args.kind == "all-in-one":
        written = all_in_one_scenes(*sized, overwrite=args.overwrite)
        folders = ", ".join(str(args.out / name) for name in ("clean", "rain", "haze"))
        places, total = f"{folders}, listed in {args.out / ALL_IN_ONE_LIST}", 3 * args.count
    else:
        written = write_scenes(*sized, overwrite=args.overwrite)
        places, total = f"{args.out / 'clear'} and {args.out / 'depth'}", args.count
    count = sum(1 for _ in bar(written, "scenes", total=total, unit="scene", disable=None))
    print(f"{count} scenes in {places}")
    return 0


def _sidd_patches(args: argparse.Namespace) -> int:
    from mindrestore.data.catalog import find_pairs
    from mindrestore.data.sidd import PatchOptions, cut_patches

    options = PatchOptions(args.patch, args.per_image, args.seed, args.overwrite)
    pairs = find_pairs("sidd_medium", args.folder, "train")
    done = cut_patches(pairs, args.out, options)
    count = sum(1 for _ in bar(done, "patches", total=len(pairs), unit="pair", disable=None))
    print(f"{count * args.per_image} patches in {args.out / 'input'} and {args.out / 'target'}")
    return 0


def _transfer(args: argparse.Namespace) -> int:
    from mindrestore.data.transfer import RSID_TO_NID, transfer_folder

    written = transfer_folder(args.hazy_dir, args.out, args.gamma or RSID_TO_NID)
    count = sum(1 for _ in bar(written, "transfer", unit="image", disable=None))
    print(f"{count} images in {args.out}")
    return 0
