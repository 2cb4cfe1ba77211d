"""The four verbs: train, evaluate, export, restore.

What only one verb needs is imported inside it, so that restoring a photograph takes a second.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from mindrestore.errors import MindRestoreError, Notice, first_line, shown
from mindrestore.exporting.form import FORMATS, ExportReport, Form, format_of
from mindrestore.inference.benchmarks import is_benchmark, restore_benchmark
from mindrestore.inference.files import RestoreSummary, restore_files
from mindrestore.inference.options import PUBLISHED, Options
from mindrestore.inference.restorer import InTurn, Restorer
from mindrestore.inference.trained import Trained
from mindrestore.inference.working_size import MARK
from mindrestore.recipes.load import load_recipe, next_stage, run_folder
from mindrestore.recipes.schema import Recipe

if TYPE_CHECKING:
    from mindrestore.data.pairing import Pair
    from mindrestore.engine.trainer import TrainResult
    from mindrestore.evaluation.results import Evaluation, SetsEvaluation
    from mindrestore.evaluation.sets import NamedSet, TestSet

PathLike = Union[str, Path]


@dataclass(frozen=True)
class EvalReport:
    """An evaluation of one set or several, its table, and the folder with CSV, JSON, pictures and index.html."""

    evaluation: Evaluation | SetsEvaluation
    table: str
    folder: Path


def train(recipe: Recipe | PathLike, *, resume: bool | str = "auto", run_dir: PathLike | None = None) -> TrainResult:
    """Train a recipe, and its second stage if it has one (key `then`), from the best weights of the first.

    Args:
        recipe: A recipe, its packaged name, a YAML file or a run folder.
        resume: "auto" resumes if the run folder has a saved state, True requires one, False starts from scratch.
        run_dir: Run folder; by default the one that is given as the recipe, wherever it was moved to, else
            output.root/output.name, named after the recipe when it has no output.name. A second stage has a folder of
            its own beside it, whose name ends in `_stage2`.

    Returns:
        The number of steps, the best metric and the run folder, of the last stage.

    Raises:
        MindRestoreError: Anything that the recipe, the data or the device lacks, by name.

    Examples:
        >>> train(load_recipe("quickstart", ["train.max_steps=2", "data.patch_size=32"])).run_dir
        PosixPath('runs/quickstart')
    """
    from mindrestore.engine import context
    from mindrestore.engine.lock import RunLock
    from mindrestore.training import check_start, make_trainer

    if not isinstance(recipe, Recipe):
        run_dir = run_dir or run_folder(recipe)
        recipe = load_recipe(recipe)
    folder = Path(run_dir or Path(recipe.output.root) / (recipe.output.name or recipe.name.replace("/", "_")))
    check_start(recipe)
    first = context.rank_and_world()[0] == 0
    with RunLock(folder) if first else nullcontext():
        result = make_trainer(recipe, folder, resume).fit(resume=resume)
        if recipe.then is None:
            return result
        # Rank 0 hands its weights to the others; for them the file may not be there yet.
        weights = str(Trained.of_run(folder).weights) if first else None
        again = "auto" if resume is True else resume  # a run that stopped in its first stage has no state of the second
        return train(next_stage(recipe, weights), resume=again, run_dir=folder.with_name(f"{folder.name}_stage2"))


def evaluate(
    source: Trained | PathLike,
    test_set: TestSet | PathLike | Sequence[NamedSet] | None = None,
    *,
    protocol: str | None = None,
    out: PathLike | None = None,
    limit: int | None = None,
    options: Options = PUBLISHED,
    **changes: Any,
) -> EvalReport:
    """Measure a trained network on pairs, and write CSV, JSON, pictures and a page, index.html, that shows them.

    A folder of several test sets gives one report per set, in a folder of its name, and their summary.

    Args:
        source: A run folder, or `Trained(model, weights)`.
        test_set: Folder, `TestSet`, or sets by name; by default the test pairs of the run's recipe.
        protocol: How scores are measured; by default that of each named set, of the run, else of the network's
            packaged recipes.
        out: Folder of the report; by default RUN_FOLDER/report, else `report`. An existing report there is replaced.
        limit: Number of pairs of every set, all when `None`.
        options: How images are processed; by default whole and at full resolution, as in papers.
        **changes: Fields of `Options` by name, such as `tile=512`. With `full_size=False` large images
            are downscaled for a dehazing network, as in `restore`, and the name of the protocol says so.

    Returns:
        The scores of every image, input beside restored, and where they were written.

    Raises:
        MindRestoreError: Run folder, weights, pairs or protocol cannot be used.

    Examples:
        >>> report = evaluate("runs/quickstart")
        >>> list(report.evaluation.mean), report.folder
        (['psnr', 'ssim'], PosixPath('runs/quickstart/report'))
    """
    from mindrestore.evaluation.evaluator import evaluate_pairs, evaluate_sets
    from mindrestore.evaluation.folder import PICTURES, replacing_report
    from mindrestore.evaluation.protocol import get_protocol
    from mindrestore.evaluation.published import write_published
    from mindrestore.evaluation.report import format_sets, format_table, write_csv, write_json, write_sets
    from mindrestore.evaluation.sets import TestSet
    from mindrestore.pages.evaluation import write_evaluation_page

    trained = source if isinstance(source, Trained) else Trained.of_run(source)
    measure = get_protocol(protocol or trained.usual_protocol())
    if test_set is None or isinstance(test_set, (str, Path)):
        test_set = TestSet(test_set)
    if isinstance(test_set, TestSet):
        sets = test_set.named_sets(measure, trained.recipe)
        pairs = [] if sets else test_set.pairs(trained.recipe)
    else:
        sets, pairs = list(test_set), []
    if protocol:
        sets = [replace(entry, protocol=replace(measure, noise_seed=entry.noise_seed)) for entry in sets]
    _note_unread([*pairs, *(pair for entry in sets for pair in entry.pairs)])
    restorer = Restorer(trained, options=options, **changes)
    if not restorer.options.full_size and not restorer.at_working_size:
        raise MindRestoreError(f"{trained.model} removes {', '.join(restorer.tasks)}; only haze has a working size")
    if restorer.at_working_size:
        measure = measure.marked(*MARK)
        sets = [replace(entry, protocol=get_protocol(entry.protocol).marked(*MARK)) for entry in sets]
    folder = Path(out) if out else (trained.folder or Path()) / "report"
    settings = {"model": trained.model, "weights": str(trained.weights)}
    with replacing_report(folder) as new:
        if sets:
            evaluation = evaluate_sets(restorer.restore_float, sets, save_dir=new, limit=limit)
            write_sets(evaluation, new, settings)
        else:
            evaluation = evaluate_pairs(restorer.restore_float, pairs, measure, save_dir=new / PICTURES, limit=limit)
            write_csv(evaluation, new / "scores.csv")
            write_published(evaluation, new)
            write_json(evaluation, new / "scores.json", {**settings, "data": str(Path(pairs[0].input).parent)})
    write_evaluation_page(folder, trained.folder)
    return EvalReport(evaluation, format_sets(evaluation) if sets else format_table(evaluation), folder)


def _note_unread(pairs: Sequence[Pair]) -> None:
    """Warn of pictures beside the pairs that are of kinds that are not read: the means do not count them."""
    from mindrestore.images.read import unread_note

    for folder in dict.fromkeys(Path(pair.input).parent for pair in pairs):
        if note := unread_note(folder):
            warnings.warn(note, Notice, stacklevel=3)


def export(
    source: Trained | PathLike,
    out: PathLike | None = None,
    *,
    form: Form | str | None = None,
    size: tuple[int, int] | None = None,
    device: str = "auto",
) -> ExportReport:
    """Write a trained network as MINDIR, ONNX or AIR, reload it and compare.

    Args:
        source: A run folder, or `Trained(model, weights)`.
        out: File to write; by default RUN_FOLDER/model.mindir, else beside the weights, with the suffix of the format.
        form: A format, or all that a `Form` says; by default what the suffix of `out` says, else MINDIR.
        size: (height, width) in pixels, when `form` does not say it; any size when `None`.
        device: "auto", "CPU", "GPU" or "Ascend".

    Returns:
        The file and the differences that were measured.

    Raises:
        MindRestoreError: The weights cannot be used, the form is not possible, or the reloaded file differs.

    Examples:
        >>> export("runs/quickstart").path
        PosixPath('runs/quickstart/model.mindir')
    """
    from mindrestore.engine import context
    from mindrestore.exporting.exporter import export_model

    trained = source if isinstance(source, Trained) else Trained.of_run(source)
    if not isinstance(form, Form):
        form = Form(form.upper() if form else format_of(out), size=size)
    suffix = FORMATS[form.format]
    # Not into the package: included weights lie there.
    beside = Path(f"{trained.card.name}{suffix}") if trained.card else Path(trained.weights).with_suffix(suffix)
    target = Path(out) if out else (trained.folder / f"model{suffix}" if trained.folder else beside)
    context.setup(device)
    task = trained.made_for[0] if len(trained.made_for) == 1 else None
    return export_model(trained.model, trained.weights, target, form=form, hyper=dict(trained.hyper), task=task)


def restore(
    source: Trained | PathLike | Sequence[Trained],
    photos: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    overwrite: bool = False,
    png: bool = False,
    report: bool = False,
    options: Options | None = None,
    **changes: Any,
) -> RestoreSummary:
    """Restore photographs and videos; or SIDD's validation blocks or DND into the files of their programs.

    Args:
        source: A run folder, or `Trained(model, weights)`; several are applied in turn.
        photos: File, folder of files, or several of them; `ValidationNoisyBlocksSrgb.mat`; the folder of DND.
        out: Folder for the results, under the names of the inputs.
        overwrite: Replace existing results; by default they are kept.
        png: Write every result as NAME.png, 8-bit RGB; of SIDD and DND, write PNG files beside the MATLAB files.
        report: Write OUT/report/index.html too: before and after, sizes and times. Not for SIDD and DND.
        options: How images go through the network.
        **changes: Fields of `Options` by name, such as `tile=512`, and `name_suffix` of `restore_files`.

    Returns:
        What was written and kept, and one message per image that failed; a bad file does not stop the others.

    Raises:
        MindRestoreError: There is nothing to restore, the results would replace the photographs, or the weights
            cannot be used.

    Examples:
        >>> restore("runs/quickstart", "photos", "clean").written
        (PosixPath('clean/a.png'), PosixPath('clean/b.jpg'))
    """
    chain = [source] if isinstance(source, (Trained, str, Path)) else list(source)
    networks = [entry if isinstance(entry, Trained) else Trained.of_run(entry) for entry in chain]
    whole = isinstance(photos, (str, Path)) and is_benchmark(photos)
    if whole and report:
        raise MindRestoreError(f"{photos}: a report shows photographs, not SIDD's and DND's files; leave it out")
    naming = {} if whole else {"name_suffix": changes.pop("name_suffix", "")}
    options = (options or Options()).with_(**changes)
    restorers = [Restorer(trained, options=options) for trained in networks]
    restorer = restorers[0] if len(restorers) == 1 else InTurn(restorers)
    restore_all = restore_benchmark if whole else restore_files
    summary = restore_all(restorer, photos, out, png=png, overwrite=overwrite, **naming)
    if report:
        described = {
            "model": [trained.model for trained in networks],
            "weights": [trained.weights for trained in networks],
        }
        settings = {name: ", then ".join(map(str, values)) for name, values in described.items()}
        return _with_page(summary, Path(out) / "report", {**settings, **options.shown()})
    return summary


def _with_page(summary: RestoreSummary, folder: Path, settings: dict[str, Any]) -> RestoreSummary:
    """Write the page of a restoration; where that fails, the results count all the same, and a note says so."""
    from mindrestore.pages.restored import write_restored_page

    try:
        write_restored_page(summary, folder, settings)
    except (MindRestoreError, OSError) as error:
        with suppress(OSError):
            (folder / "index.html").unlink()  # a former one would show other pictures
        note = f"{shown(folder)}: the page with all pictures is not written ({first_line(error)})"
        return summary._replace(notes=(*summary.notes, note))
    return summary
