"""The four verbs: train, evaluate, export, restore. The command line calls these and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Union

from mindrestore.data.catalog import DatasetError, find_pairs
from mindrestore.data.lists import read_list
from mindrestore.data.mixing import mixed_pairs
from mindrestore.data.pairing import Pair
from mindrestore.data.pipeline import ProgressiveLoader, TrainLoader
from mindrestore.engine import context
from mindrestore.engine.trainer import Trainer, TrainResult
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.evaluator import Evaluation, SetsEvaluation, evaluate_pairs, evaluate_sets
from mindrestore.evaluation.protocol import Protocol, get_protocol
from mindrestore.evaluation.published import write_published
from mindrestore.evaluation.report import format_sets, format_table, write_csv, write_json, write_sets
from mindrestore.evaluation.sets import NamedSet, TestSet, recipe_sets
from mindrestore.inference.benchmarks import is_benchmark, restore_benchmark
from mindrestore.inference.export_form import FORMATS, ExportReport, Form, format_of
from mindrestore.inference.exporter import export_model
from mindrestore.inference.files import RestoreSummary, restore_files
from mindrestore.inference.restorer import InTurn, Restorer
from mindrestore.inference.trained import Trained
from mindrestore.losses.objective import build_objective
from mindrestore.losses.progressive import SMALLEST_SIDE
from mindrestore.models.registry import create_model, model_spec
from mindrestore.pages.evaluation import write_evaluation_page
from mindrestore.pages.restored import write_restored_page
from mindrestore.recipes.load import load_recipe, next_stage
from mindrestore.recipes.schema import DataConfig, ModelConfig, Recipe
from mindrestore.weights.convert import load_weights
from mindrestore.weights.create import weights_for
from mindrestore.weights.encoder import load_encoder, untrained_encoder

if TYPE_CHECKING:
    from mindspore import nn

PathLike = Union[str, Path]


@dataclass(frozen=True)
class EvalReport:
    """An evaluation of one set or several, its table, and the folder with CSV, JSON, pictures and index.html."""

    evaluation: Evaluation | SetsEvaluation
    table: str
    folder: Path


def train(recipe: Recipe | PathLike, *, resume: bool | str = "auto", run_dir: PathLike | None = None) -> TrainResult:
    """Train a recipe; where it says `then`, train the second stage from the best weights of the first.

    Args:
        recipe: A recipe, its packaged name, a YAML file or a run folder.
        resume: "auto" goes on where the run folder has a state, True insists on one, False starts anew.
        run_dir: Run folder; by default output.root/output.name, named after the recipe when it has no output.name. A
            second stage has a folder of its own beside it, whose name ends in `_stage2`.

    Returns:
        The number of steps, the best metric and the run folder, of the last stage.

    Raises:
        MindRestoreError: Anything that the recipe, the data or the device lacks, by name.

    Example:
        >>> train("quickstart").run_dir
        PosixPath('runs/quickstart')
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    folder = Path(run_dir or Path(recipe.output.root) / (recipe.output.name or recipe.name.replace("/", "_")))
    result = _train_stage(recipe, resume, folder)
    if recipe.then is None:
        return result
    # Rank 0 hands its weights to the others; for them the file may not be there yet.
    weights = str(Trained.of_run(folder).weights) if context.rank_and_world()[0] == 0 else None
    again = "auto" if resume is True else resume  # a run that stopped in its first stage has no state of the second
    return train(next_stage(recipe, weights), resume=again, run_dir=folder.with_name(f"{folder.name}_stage2"))


def _train_stage(recipe: Recipe, resume: bool | str, folder: Path) -> TrainResult:
    _check_start(recipe)
    weights, hyper = weights_for(recipe.model.name, recipe.model.weights, recipe.model.hyper)  # shipped ones bring both
    recipe = replace(recipe, model=replace(recipe.model, hyper=hyper))
    pairs = training_pairs(recipe.data)
    validate = validation(recipe)
    context.setup(recipe.train.device, mode=recipe.train.mode, seed=recipe.train.seed)
    rank, world = context.rank_and_world()
    shared = {"config": recipe.data, "seed": recipe.train.seed, "rank": rank, "world": world}
    if recipe.train.progressive:
        loader = ProgressiveLoader(pairs, stages=recipe.train.progressive.stages, **shared)
    else:
        loader = TrainLoader(pairs, batch_size=recipe.train.batch_size, **shared)
    net = create_model(recipe.model.name, **recipe.model.hyper)
    notes = _load_start(net, replace(recipe.model, weights=weights))
    objective = build_objective(recipe.loss, stages=model_spec(recipe.model.name).stages)
    batches = {"loader": loader, "validate": validate}
    trainer = Trainer(recipe, net=net, objective=objective, run_dir=folder, notes=notes, **batches)
    return trainer.fit(resume=resume)


def _load_start(net: nn.Cell, model: ModelConfig) -> list[str]:
    """Load the weights that training starts from, those of a whole network or of its encoder; say so for the log."""
    if model.weights and model.encoder_weights:
        raise MindRestoreError(
            f"model.weights={model.weights} holds the encoder as well; set model.encoder_weights to null"
        )
    if model.weights:
        load_weights(net, model.weights)
        return []
    if model.encoder_weights:
        return [load_encoder(net, model.encoder_weights)]
    return [f"warning: {untrained_encoder(net)}"] if hasattr(net, "encoder_cells") else []


def _check_start(recipe: Recipe) -> None:
    """Refuse what cannot be trained, before any image is read."""
    if recipe.data.root is None:
        raise DatasetError(f"recipe {recipe.name}: data.root is not set; give the folder, as in data.root=FOLDER")
    model, first = recipe.model, recipe.model.follows
    if first and not model.weights and context.rank_and_world()[0] == 0:
        example = f"{recipe.output.root}/{first.replace('/', '_')}/best.ckpt"
        raise MindRestoreError(
            f"recipe {recipe.name} goes on from the weights of {first}, and there are none; train {first} and give its "
            f"weights, as in model.weights={example}, or take a recipe that trains both stages"
        )
    _check_patches(recipe)


def _check_patches(recipe: Recipe) -> None:
    """Refuse patch sizes that the network or a loss term cannot take."""
    spec, stages = model_spec(recipe.model.name), recipe.train.progressive
    key, sizes = ("train.progressive.patch_sizes", stages.patch_sizes) if stages else ("data.patch_size", ())
    terms = recipe.loss.terms
    least = max(spec.min_size, SMALLEST_SIDE if terms.get("pocl", {"weight": 0})["weight"] > 0 else 0)
    for size in sizes or (recipe.data.patch_size,):
        if size < least:
            who = "loss term pocl" if least > spec.min_size else spec.name
            raise MindRestoreError(f"patches of {size} pixels: {who} needs at least {least} a side; enlarge {key}")
        if size % spec.size_multiple:
            below = size - size % spec.size_multiple
            raise MindRestoreError(
                f"{key}: {spec.name} takes patches whose side is a multiple of {spec.size_multiple}, not {size}; "
                f"choose {below} or {below + spec.size_multiple}"
            )


def training_pairs(data: DataConfig) -> list[Pair]:
    """Find the pairs to train on: those of the list or the mix, where the recipe names one, else those of the data set.

    Args:
        data: The `data` section of a recipe, with a root.

    Returns:
        The pairs in the order of the list or of the files.

    Raises:
        DatasetError: The list or the folder cannot be used; the message names file and row.
    """
    if data.mix:
        return mixed_pairs(data)
    if data.train_list is None:
        return find_pairs(data.dataset, data.root, data.train_split)
    path = Path(data.train_list)
    if not path.is_file():
        path = Path(data.root) / data.train_list
    return read_list(path, data.root, data.noise_range, data.noise_levels)


def validation(recipe: Recipe) -> Callable[[nn.Cell], dict[str, float]] | None:
    """Make the function that measures the network during training, on whole images or on the middle of each.

    Args:
        recipe: Names the pairs, the protocol, the largest side (`data.val_crop`) and the number of images.

    Returns:
        A function of the network that gives metric -> mean over the images; `None` when `train.val_every` is 0.

    Raises:
        MindRestoreError: The pairs or the protocol cannot be found: now, not after hours of training.
    """
    if recipe.train.val_every == 0:
        return None
    sets = recipe_sets(recipe) or [NamedSet("test", TestSet().pairs(recipe), recipe.validation.protocol)]
    sets = [replace(entry, protocol=_watched(entry.protocol, recipe)) for entry in sets]
    restorers: dict[nn.Cell, Restorer] = {}  # one per network: it compiles the network once

    def validate(net: nn.Cell) -> dict[str, float]:
        if net not in restorers:
            restorers[net] = Restorer(recipe.model.name, net=net)
        result = evaluate_sets(restorers[net].restore_float, sets, limit=recipe.validation.max_images)
        if result.unmeasured:  # an average over other sets than before would choose the wrong weights
            raise MindRestoreError("; ".join(f"{lost.name}: {lost.reason}" for lost in result.unmeasured))
        if len(sets) == 1:
            return result.mean
        each = {f"{metric} {name}": mean for name, entry in result.sets.items() for metric, mean in entry.mean.items()}
        return {**result.mean, **each}

    return validate


def _watched(name: str, recipe: Recipe) -> Protocol:
    """Limit a protocol to what validation needs: CIEDE2000 and MS-SSIM take long and decide nothing there."""
    protocol, best = get_protocol(name), recipe.validation.best_metric
    if best not in protocol.names:
        known = ", ".join(protocol.names)
        raise MindRestoreError(
            f"validation.best_metric={best}: protocol {protocol.name} has no such score, only {known}"
        )
    watched = tuple(metric for metric in protocol.names if metric in ("psnr", "ssim", best))
    return replace(protocol, names=watched, centre_crop=recipe.data.val_crop or protocol.centre_crop)


def evaluate(
    source: Trained | PathLike,
    test_set: TestSet | PathLike | Sequence[NamedSet] | None = None,
    *,
    protocol: str | None = None,
    out: PathLike | None = None,
    limit: int | None = None,
    device: str = "auto",
    tile: int | None = None,
) -> EvalReport:
    """Measure a trained network on pairs, and write CSV, JSON, pictures and a page, index.html, that shows them.

    A folder of several test sets gives one report per set, in a folder of its name, and their summary.

    Args:
        source: A run folder, or `Trained(model, weights)`.
        test_set: Folder, `TestSet`, or sets by name; by default the test pairs of the run's recipe.
        protocol: How scores are measured; by default that of each named set, of the run, else of the network's
            packaged recipes.
        out: Folder of the report; by default RUN_FOLDER/report, else `report`.
        limit: Number of pairs of every set, all when `None`.
        device: "auto", "CPU", "GPU" or "Ascend".
        tile: Side of the tiles in pixels; whole images when `None`.

    Returns:
        The scores of every image, input beside restored, and where they were written.

    Raises:
        MindRestoreError: Run folder, weights, pairs or protocol cannot be used.

    Example:
        >>> evaluate("runs/quickstart").evaluation.mean["psnr"]
        24.1
        >>> evaluate("runs/deraining", "Synthetic_Rain_Datasets").evaluation.sets["Rain100L"].mean["psnr"]
        36.4
    """
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
    folder = Path(out) if out else (trained.folder or Path()) / "report"
    folder.mkdir(parents=True, exist_ok=True)
    restorer = trained.restorer(device, tile)
    settings = {"model": trained.model, "weights": str(trained.weights)}
    if sets:
        result = evaluate_sets(restorer.restore_float, sets, save_dir=folder, limit=limit)
        write_sets(result, folder, settings)
        write_evaluation_page(folder, trained.folder)
        return EvalReport(result, format_sets(result), folder)
    evaluation = evaluate_pairs(restorer.restore_float, pairs, measure, save_dir=folder / "pictures", limit=limit)
    write_csv(evaluation, folder / "scores.csv")
    write_published(evaluation, folder)
    write_json(evaluation, folder / "scores.json", {**settings, "data": str(Path(pairs[0].input).parent)})
    write_evaluation_page(folder, trained.folder)
    return EvalReport(evaluation, format_table(evaluation), folder)


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

    Example:
        >>> export("runs/quickstart").path
        PosixPath('runs/quickstart/model.mindir')
        >>> export("runs/quickstart", form="ONNX").path
        PosixPath('runs/quickstart/model.onnx')
    """
    trained = source if isinstance(source, Trained) else Trained.of_run(source)
    if not isinstance(form, Form):
        form = Form(form.upper() if form else format_of(out), size=size)
    suffix = FORMATS[form.format]
    # Not into the package: weights that ship lie there.
    beside = Path(f"{trained.card.name}{suffix}") if trained.card else Path(trained.weights).with_suffix(suffix)
    target = Path(out) if out else (trained.folder / f"model{suffix}" if trained.folder else beside)
    context.setup(device)
    return export_model(trained.model, trained.weights, target, form=form, hyper=dict(trained.hyper))


def restore(
    source: Trained | PathLike | Sequence[Trained],
    photos: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    overwrite: bool = False,
    png: bool = False,
    tile: int | str | None = "auto",
    report: bool = False,
    **options: Any,
) -> RestoreSummary:
    """Restore photographs and videos; or SIDD's validation blocks or DND into the files of their programs.

    Args:
        source: A run folder, or `Trained(model, weights)`; several of these work one after the other.
        photos: File, folder of files, or several of them; `ValidationNoisyBlocksSrgb.mat`; the folder of DND.
        out: Folder for the results, under the names of the inputs.
        overwrite: Replace results that are there; otherwise they stay.
        png: Write every result as NAME.png, 8-bit RGB; of SIDD and DND, write PNG files beside the MATLAB files.
        tile: Side of the tiles in pixels; "auto" cuts what does not fit into the memory; whole images when `None`.
        report: Write OUT/report/index.html too: before and after, sizes and times. Not for SIDD and DND.
        **options: `device`, `memory`, `batch`, `ensemble`, `whole_statistics`, `engine` and `key` of `Restorer`.

    Returns:
        What was written and kept, and one message per image that failed; a bad file does not stop the others.

    Raises:
        MindRestoreError: There is nothing to restore, the results would replace the photographs, or the weights
            cannot be used.

    Example:
        >>> restore("runs/quickstart", "photos", "clean").written
        (PosixPath('clean/a.png'), PosixPath('clean/b.jpg'))
    """
    chain = [source] if isinstance(source, (Trained, str, Path)) else list(source)
    networks = [entry if isinstance(entry, Trained) else Trained.of_run(entry) for entry in chain]
    whole = isinstance(photos, (str, Path)) and is_benchmark(photos)
    if whole and report:
        raise MindRestoreError(f"{photos}: a report shows photographs, not SIDD's and DND's files; leave it out")
    restorers = [trained.restorer(tile=tile, **options) for trained in networks]
    restorer = restorers[0] if len(restorers) == 1 else InTurn(restorers)
    summary = (restore_benchmark if whole else restore_files)(restorer, photos, out, png=png, overwrite=overwrite)
    if report:
        described = {
            "model": [trained.model for trained in networks],
            "weights": [trained.weights for trained in networks],
        }
        settings = {name: ", then ".join(map(str, values)) for name, values in described.items()}
        write_restored_page(summary, Path(out) / "report", {**settings, "tile": tile, **options})
    return summary
