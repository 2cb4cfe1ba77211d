"""Verbs of `mindrestore data` for lists: make them, plan epochs from their length, prepare copies of test images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindrestore.cli.arguments import nonempty_path, positive, positive_number, seed
from mindrestore.cli.progress import bar

if TYPE_CHECKING:
    from mindrestore.data.make_lists import Listing

MODES = {"noise": "noise", "rain": "rain", "haze": "haze", "pairs": "pairs", "join": "all_in_one"}


def add_verbs(verbs: Any) -> None:
    """Add the verbs to `mindrestore data`."""
    _add_list(verbs)
    _add_epoch_chg(verbs)
    _add_crop(verbs)
    _add_noise(verbs)


def _add_list(verbs: Any) -> None:
    parser = verbs.add_parser(
        "list",
        help="list training pairs in a CSV file",
        description="Write a CSV list of training pairs: clear image and degraded image, relative to ROOT. An image in "
        "both columns gets noise on the fly. Defaults are the folders of DSRIR's published training data.",
    )
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    _add_noise_list(kinds.add_parser("noise", help="every image of some folders of clear images"))
    _add_rain_list(kinds.add_parser("rain", help="rain-1.png with norain-1.png, repeated"))
    _add_haze_list(kinds.add_parser("haze", help="one hazy version ID_A_B.*, drawn at random, of every clear ID.*"))
    _add_pair_list(kinds.add_parser("pairs", help="two folders of your own"))
    _add_joint_list(kinds.add_parser("join", help="several lists after each other, or noise, rain and haze at once"))
    for kind, own in kinds.choices.items():
        own.add_argument(
            "--root", type=nonempty_path, required=True, metavar="DIR", help="folder that holds all the images"
        )
        name = f"train_{MODES[kind]}.csv"
        own.add_argument(
            "--out", type=nonempty_path, metavar="FILE", help=f"file, or folder for {name} (default: {name} in DIR)"
        )
        own.add_argument("--overwrite", action="store_true", help="replace the file when it exists")
        own.add_argument(
            "--check", action="store_true", help="decode all images; 1 and no list when something is wrong"
        )
        own.add_argument(
            "--min-size", type=positive, default=8, metavar="P", help="for --check: smallest side (default 8)"
        )
        own.set_defaults(parser=own)


def _add_noise_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folders", nargs="+", metavar="DIR", help="folders below ROOT (default: BSD400 WED/gt)")


def _add_rain_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--degraded", metavar="DIR", help="rainy images below ROOT (default: Rain100L/train/rainy)")
    parser.add_argument("--clean", metavar="DIR", help="their partners (default: Rain100L/train/gt)")
    _add_repeat(parser)


def _add_haze_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--degraded", metavar="DIR", help="hazy images below ROOT (default: Reside/train/hazy)")
    parser.add_argument("--clean", metavar="DIR", help="their partners (default: Reside/train/gt)")
    _add_draws(parser)


def _add_pair_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--degraded", required=True, metavar="DIR", help="degraded images below ROOT")
    parser.add_argument("--clean", required=True, metavar="DIR", help="clear images below ROOT")
    parser.add_argument(
        "--rule", metavar="RULE", help="same, role, version, prefix, or auto to try them (default auto)"
    )
    parser.add_argument("--repeat", type=positive, default=1, metavar="K", help="rows of each pair (default 1)")


def _add_joint_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lists", nargs="*", type=nonempty_path, metavar="LIST", help="lists to join; none: make all three"
    )
    _add_repeat(parser)
    _add_draws(parser)


def _add_repeat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=positive, metavar="K", help="rows of each rainy pair (default 25)")


def _add_draws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=positive, metavar="N", help="clear images of the haze list (default: all)")
    parser.add_argument("--seed", type=seed, metavar="N", help="decides the hazy versions (default 0)")


def _add_epoch_chg(verbs: Any) -> None:
    parser = verbs.add_parser(
        "epoch-chg",
        help="compute the switch epochs of progressive training",
        description="Compute the last epoch of every stage of progressive training from the number of training pairs.",
    )
    parser.add_argument("--images", type=positive, required=True, metavar="N", help="rows of the training list")
    parser.add_argument("--iterations", type=positive, nargs="+", metavar="I", help="default 128000 112000 96000 64000")
    parser.add_argument("--batch-size", type=positive, nargs="+", metavar="B", help="default 16 14 12 8")


def _add_crop(verbs: Any) -> None:
    parser = verbs.add_parser(
        "crop",
        help="crop images to multiples of a number",
        description="Write the middle of every image of DIR to OUT/<stem>.png, with sides divisible by a number.",
    )
    _add_copies(parser)
    parser.add_argument("--multiple", type=positive, default=8, metavar="M", help="the number (default 8)")


def _add_noise(verbs: Any) -> None:
    parser = verbs.add_parser(
        "noise",
        help="add the noise of a test to images",
        description="Write every image of DIR with Gaussian noise to OUT/<stem>.png, in 8 bits. The noise of an image "
        "depends on its file name, the deviation and the seed alone.",
    )
    _add_copies(parser)
    parser.add_argument(
        "--sigma", type=positive_number, default=25.0, metavar="S", help="deviation in levels of 255 (default 25)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="default 0")


def _add_copies(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=nonempty_path, metavar="DIR", help="folder of images")
    parser.add_argument("out", type=nonempty_path, metavar="OUT", help="another folder")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _list(args: argparse.Namespace) -> int:
    from mindrestore.data.lists import write_list
    from mindrestore.data.make_lists import check_rows

    rows, notes = _MAKERS[args.kind](args)
    problems = []
    if args.check:
        problems = check_rows(args.root, rows, args.min_size, lambda rows: bar(rows, "checking", disable=None))
    for line in [*(f"wrong: {problem}" for problem in problems), *(f"note: {note}" for note in notes)]:
        print(line)
    if problems:
        print(f"{len(problems)} problem(s), no list was written")
        return 1
    name, out = f"train_{MODES[args.kind]}.csv", args.out or args.root
    path = out / name if out.is_dir() else out
    write_list(path, rows, overwrite=args.overwrite)
    print(f"{len(rows)} pairs in {path}")
    return 0


def _noise_rows(args: argparse.Namespace) -> Listing:
    from mindrestore.data.make_lists import NOISE_FOLDERS, list_noise

    return list_noise(args.root, args.folders or NOISE_FOLDERS)


def _rain_rows(args: argparse.Namespace) -> Listing:
    from mindrestore.data.make_lists import RAIN_FOLDERS, RAIN_REPEAT, list_pairs

    return list_pairs(args.root, _folders(args, RAIN_FOLDERS), args.repeat or RAIN_REPEAT)


def _haze_rows(args: argparse.Namespace) -> Listing:
    from mindrestore.data.make_lists import HAZE_FOLDERS, list_haze

    return list_haze(args.root, _folders(args, HAZE_FOLDERS), args.count, args.seed or 0)


def _pair_rows(args: argparse.Namespace) -> Listing:
    from mindrestore.data.make_lists import Folders, list_pairs

    return list_pairs(args.root, Folders(args.degraded, args.clean, args.rule or "auto"), args.repeat)


def _joint_rows(args: argparse.Namespace) -> Listing:
    from mindrestore.data.lists import read_list, read_rows
    from mindrestore.data.make_lists import RAIN_REPEAT, Listing, list_all_in_one

    if not args.lists:
        return list_all_in_one(args.root, args.repeat or RAIN_REPEAT, args.count, args.seed or 0)
    given = [name for name in ("repeat", "count", "seed") if getattr(args, name) is not None]
    if given:
        args.parser.error(f"--{given[0]} does not go with lists; it is for making them")
    for path in args.lists:
        read_list(path, args.root)  # finds what is missing below the root
    return Listing([row for path in args.lists for row in read_rows(path).values()], [])


def _folders(args: argparse.Namespace, published: Any) -> Any:
    """Return the folders that were asked for, and the published ones where none were."""
    return published._replace(degraded=args.degraded or published.degraded, target=args.clean or published.target)


def _epoch_chg(args: argparse.Namespace) -> int:
    from mindrestore.recipes.progressive import BATCH_SIZES, ITERATIONS, epoch_switches

    epochs = epoch_switches(args.images, args.iterations or ITERATIONS, args.batch_size or BATCH_SIZES)
    print("--epoch-chg", *epochs)
    print(f"train.progressive.epoch_chg={epochs}")
    return 0


def _crop(args: argparse.Namespace) -> int:
    from mindrestore.data.copies import crop_images

    written = crop_images(args.folder, args.out, args.multiple, overwrite=args.overwrite)
    return _count(written, "cropping", args.out)


def _noise(args: argparse.Namespace) -> int:
    from mindrestore.data.copies import noise_images

    written = noise_images(args.folder, args.out, args.sigma, args.seed, overwrite=args.overwrite)
    return _count(written, "noise", args.out)


def _count(written: Any, title: str, out: Path) -> int:
    count = sum(1 for _ in bar(written, title, unit="image", disable=None))
    print(f"{count} images in {out}")
    return 0


VERBS = {"list": _list, "epoch-chg": _epoch_chg, "crop": _crop, "noise": _noise}
_MAKERS = {"noise": _noise_rows, "rain": _rain_rows, "haze": _haze_rows, "pairs": _pair_rows, "join": _joint_rows}
