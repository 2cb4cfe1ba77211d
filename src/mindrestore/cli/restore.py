"""`mindrestore restore`: restore photographs, without ground truth and of any size."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindrestore.cli.arguments import nonempty_path, positive_number
from mindrestore.cli.source import add_source, read_hyper, read_source
from mindrestore.errors import MindRestoreError, shown
from mindrestore.images.limits import VARIABLE

if TYPE_CHECKING:
    from mindrestore.inference.files import RestoreSummary
    from mindrestore.inference.restorer import Restorer
    from mindrestore.inference.trained import Trained

_EXAMPLES = """examples:
  mindrestore restore photo.jpg --task dehaze                         into restored/, with the included weights
  mindrestore restore *.jpg photos/ --task dehaze --out clean/        several files and folders
  mindrestore restore photos/ --weights runs/mine --out clean/        with a network that you trained
  mindrestore restore photos/ --task derain --weights rain.ckpt --out clean/
  mindrestore restore photos/ --model aecrnet --weights x.ckpt --out clean/
  mindrestore restore photos/ --task derain,denoise --weights rain.ckpt,noise.ckpt --out clean/     in turn
  mindrestore restore drive.mp4 --task dehaze --weights haze.ckpt --out clean/      with sound: mindrestore[video]
  mindrestore restore DND --task denoise --weights noise.ckpt --out results/           .mat files for the server of DND

Without --weights, derain, denoise and dehaze use the weights included in MindRestore (`mindrestore weights list`) and
print which. --weights takes a file, a run folder, default, or a name of that list.

The flags of MPRNet's demo and test programs and of PaddleGAN work, too: docs/published.md, `mindrestore explain`. With
the words of MPRNet's programs (--task Deraining, Deblurring or Denoising), weights are first looked for where those
programs keep them: Deraining/pretrained_models/model_deraining.pth (or .ckpt, .safetensors, .npz) and so on.
"""
_OUTPUT = Path("restored")


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("restore", help="restore photographs", description=__doc__, epilog=_EXAMPLES)
    parser.add_argument(
        "inputs",
        nargs="*",
        type=nonempty_path,
        metavar="FILE_OR_FOLDER",
        help="photographs, videos and folders with sub-folders; or SIDD's ValidationNoisyBlocksSrgb.mat, or DND",
    )
    parser.add_argument("--task", metavar="TASK", help="dehaze, derain, denoise or deblur; or several: derain,denoise")
    add_source(parser, run_folder=False)
    parser.add_argument("--out", type=nonempty_path, metavar="DIR", help="folder for results (default: restored)")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results; by default they are kept")
    add_passing(parser)
    add_engine(parser)
    parser.add_argument(
        "--save-images", "--save_images", action="store_true", help="for SIDD and DND: write PNG files, too"
    )
    parser.add_argument("--png", action="store_true", help="write every result as NAME.png, 8-bit RGB")
    parser.add_argument(
        "--max-megapixels", type=positive_number, metavar="N", help="accept pictures up to this size (default: 250)"
    )
    parser.add_argument(
        "--only",
        metavar="PATTERNS",
        help="in a folder, restore only its own files that match one of these patterns, such as '*.png,*.jpg'",
    )
    parser.add_argument("--name-suffix", default="", metavar="TEXT", help="append TEXT to the name of every result")
    parser.add_argument(
        "--stages",
        action="store_true",
        help="write a folder per photograph: the image of every stage (0 is the result) and, for dsrir, maps of its "
        "uncertainty",
    )
    parser.add_argument(
        "--report",
        action=argparse.BooleanOptionalAction,
        help="write OUT/report/index.html, a page with every photograph before and after (default: yes, but not with "
        "--stages, SIDD and DND)",
    )
    parser.set_defaults(run=run)


def add_passing(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how images go through the network."""
    parser.add_argument(
        "--tile",
        type=tile_side,
        metavar="N",
        default="auto",
        help="restore in tiles of NxN pixels; auto: only images too large for --memory; none: never (default: auto)",
    )
    parser.add_argument(
        "--memory",
        type=float,
        metavar="GB",
        help="memory limit of the network, for --tile auto (default: 1, or half of the free memory if that is less)",
    )
    parser.add_argument(
        "--batch",
        type=int,
        metavar="N",
        default=1,
        help="images or tiles that are restored together (default: 1)",
    )
    parser.add_argument(
        "--ensemble", action="store_true", help="average over eight flips and rotations; 8 times as slow"
    )
    parser.add_argument(
        "--full-size",
        action="store_true",
        help="dehazing: run the network at full resolution; by default large images are downscaled for it and the "
        "change is applied at full resolution, which takes seconds instead of minutes and leaves no seams. Deraining: "
        "run it at full resolution only; by default it also sees large images downscaled, which removes wide streaks",
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what runs the network."""
    parser.add_argument(
        "--engine",
        choices=("onnx", "mindspore", "mindir"),
        help="what runs the network: onnx (onnxruntime), mindspore, or mindir for a file written by `mindrestore "
        "export` (default: mindspore on Ascend and GPU, onnx on CPU)",
    )
    parser.add_argument(
        "--key-file", type=nonempty_path, metavar="FILE", help="key of an encrypted MINDIR (default: MINDRESTORE_KEY)"
    )


def tile_side(text: str) -> int | str | None:
    """Read the side of tiles.

    Raises:
        argparse.ArgumentTypeError: It is not a number, `auto` or `none`.
    """
    if text in ("auto", "none"):
        return None if text == "none" else text
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a side of a tile; use pixels such as 512, auto or none")
    return int(text)


def passing(args: argparse.Namespace) -> dict[str, Any]:
    """Return these arguments as fields of `Options`; not every command has an engine to choose."""
    from mindrestore.exporting.form import read_key

    names = ("device", "tile", "memory", "batch", "ensemble", "full_size", "engine")
    given = {name: value for name, value in vars(args).items() if name in names}
    return {**given, "key": read_key(args.key_file)} if "key_file" in args else given


def run(args: argparse.Namespace) -> int:
    """Restore, and name every file that could not be."""
    if args.max_megapixels:
        os.environ[VARIABLE] = str(args.max_megapixels)  # which the processes that this one starts see, too
    result = _restore(args)
    for path in result.kept:
        print(f"kept {shown(path)}; --overwrite replaces it")
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    for message in result.failed:
        print(f"error: {message}", file=sys.stderr)
    restored, kept = len(result.written), len(result.kept)
    already = f" ({kept} {'was' if kept == 1 else 'were'} there already)" if kept else ""
    print(f"restored {restored} of {restored + len(result.failed) + kept} images into {shown(args.out)}{already}")
    if args.report and (args.out / "report" / "index.html").is_file():
        print(f"in a browser: {shown(args.out / 'report' / 'index.html')}")
    return 1 if result.failed else 0


def _restore(args: argparse.Namespace) -> RestoreSummary:
    args.out = args.out or _OUTPUT
    _check_places(args.inputs, args.out)
    source = _trained(args)
    from mindrestore import api
    from mindrestore.inference.benchmarks import is_benchmark

    if args.stages:
        from mindrestore.inference.stages import restore_stage_files

        if len(source) > 1 or args.report or len(args.inputs) > 1:
            raise MindRestoreError(
                "--stages shows one network, without a report, of one photograph or folder; use one task, and no "
                "--report"
            )
        return restore_stage_files(_with_stages(source[0], args), args.inputs[0], args.out, overwrite=args.overwrite)
    if args.report is None:
        args.report = all(_may_report(photos, args.out / "report") for photos in args.inputs)
    benchmark = len(args.inputs) == 1 and is_benchmark(args.inputs[0])
    options = {
        "overwrite": args.overwrite,
        "png": args.save_images or (args.png and not benchmark),
        "report": args.report,
    }
    if args.name_suffix and not benchmark:
        options["name_suffix"] = args.name_suffix
    photos = args.inputs[0] if benchmark else _photos(args)
    return api.restore(source, photos, args.out, **options, **passing(args))


def _check_places(inputs: Sequence[Path], out: Path) -> None:
    from mindrestore.images.kinds import VIDEO_SUFFIXES, readable_suffixes

    if not inputs:
        raise MindRestoreError("nothing to restore; name a photograph, a video or a folder")
    for path in inputs:
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError) as error:
            options = "; options stand before --" if str(path).startswith("-") else ""
            raise MindRestoreError(f"{shown(path)}: no such file or folder; check the path{options}") from error
        except OSError as error:
            raise MindRestoreError(f"{shown(path)}: {error.strerror}; check the path and its permissions") from error
    if out.suffix.lower() in (*readable_suffixes(), *VIDEO_SUFFIXES) and not out.is_dir():
        raise MindRestoreError(
            f"--out {shown(out)}: the folder for results, which keep the names of the inputs, has the name of a file; "
            f"use --out {shown(out.parent)}, with --name-suffix where the names must differ"
        )


def _photos(args: argparse.Namespace) -> list[Path]:
    """Return what to restore; with --only, the files of folders that match it."""
    if not args.only:
        return args.inputs
    from mindrestore.inference.planning import matching_photos

    patterns = args.only.split(",")
    found = (matching_photos(path, patterns) if path.is_dir() else [path] for path in args.inputs)
    return [photo for photos in found for photo in photos]


def _with_stages(trained: Trained, args: argparse.Namespace) -> Restorer:
    from mindrestore.inference.restorer import Restorer

    return Restorer(trained, device=args.device, engine="mindspore")


def _may_report(photos: Path, folder: Path) -> bool:
    """Return whether a page can be written unasked: not of SIDD and DND, nor where photographs have that folder."""
    from mindrestore.inference.benchmarks import is_benchmark
    from mindrestore.inference.planning import REPORT_MARKER

    try:
        taken = (photos / "report").exists() or (folder.exists() and not (folder / REPORT_MARKER).is_file())
    except OSError:  # folders without permissions; whoever reads or writes there says so
        return False
    return not taken and not is_benchmark(photos)


def _trained(args: argparse.Namespace) -> list[Trained]:
    """Choose networks and weights, and say which when they are the included ones."""
    from mindrestore.inference.tasks import is_published_word

    chosen = _chosen(args)
    for trained in chosen:
        if trained.card and args.task and not args.weights and is_published_word(args.task):
            print(f"no weights of the published program found; --task {args.task} uses the included ones")
        if trained.card:
            print(trained.card.note)
    return chosen


def _chosen(args: argparse.Namespace) -> list[Trained]:
    """Choose network and weights by the task, or by each of several tasks, else by --model and --weights."""
    if args.task:
        from mindrestore.inference.tasks import split_tasks
        from mindrestore.inference.trained import Trained

        chosen = split_tasks(args.task, None if args.weights is None else str(args.weights))
        if len(chosen) > 1 and (args.model or args.hyper):
            raise MindRestoreError("--model and --hyper hold for one network; leave them out with several tasks")
        options = {"model": args.model, "hyper": read_hyper(args)}
        return [Trained.of_task(task, weights, **options) for task, weights in chosen]
    if not args.weights:
        raise MindRestoreError(
            "no task given; add --task dehaze, derain or denoise, or name a network: "
            "--weights RUN_FOLDER, or --model NAME --weights FILE"
        )
    trained = read_source(args)
    if not (args.model or trained.made_for):
        from mindrestore.models.registry import model_spec

        tasks = " or ".join(model_spec(trained.model).tasks)
        print(f"weights: {shown(trained.weights)}, taken for {trained.model} ({tasks}); --task where it does another")
    return [trained]
