"""The four verbs: train, evaluate, export, restore. The command line calls these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Union

from mindrestore.data.catalog import DatasetError, find_pairs
from mindrestore.data.pipeline import TrainLoader
from mindrestore.engine import context
from mindrestore.engine.trainer import Trainer, TrainResult
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.evaluator import Evaluation, SetsEvaluation, evaluate_pairs, evaluate_sets
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.evaluation.report import format_sets, format_table, write_csv, write_json, write_sets
from mindrestore.evaluation.sets import NamedSet, TestSet
from mindrestore.inference.benchmarks import is_benchmark, restore_benchmark
from mindrestore.inference.exporter import ExportReport, export_model
from mindrestore.inference.files import RestoreSummary, restore_files
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.tasks import network_for, published_weights, require_task
from mindrestore.losses.objective import build_objective
from mindrestore.models.registry import create_model, model_spec
from mindrestore.recipes.load import list_recipes, load_recipe
from mindrestore.recipes.schema import Recipe
from mindrestore.weights.convert import load_weights

if TYPE_CHECKING:
    from mindspore import nn

PathLike = Union[str, Path]

# What a run folder offers as its result, the preferred first.
RESULTS = ("best.ckpt", "ema.ckpt", "last.ckpt")


@dataclass(frozen=True)
class Trained:
    """Name a trained network: which one, its weights, and the run that made it.

    Attributes:
        model: Registered name.
        weights: Weight file.
        hyper: Hyper-parameters that differ from the defaults.
        folder: Its run folder; `None` for a lone weight file.
        recipe: The run's recipe; `None` for a lone weight file.
    """

    model: str
    weights: PathLike
    hyper: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    recipe: Recipe | None = None

    @classmethod
    def of_run(cls, folder: PathLike) -> Trained:
        """Take the best weights of a run folder, else the averaged ones, else the last.

        Raises:
            MindRestoreError: The folder is missing, is no run folder, or holds no weights yet.

        Example:
            >>> Trained.of_run("runs/quickstart").model
            'aecrnet'
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise MindRestoreError(f"{folder}: no such folder; give a run folder of `mindrestore train`")
        if not (folder / "recipe.yaml").is_file():
            raise MindRestoreError(f"{folder}: no recipe.yaml in it, so this is no run folder of `mindrestore train`")
        weights = next((folder / name for name in RESULTS if (folder / name).is_file()), None)
        if weights is None:
            raise MindRestoreError(f"{folder}: holds none of {', '.join(RESULTS)}; train for at least one checkpoint")
        recipe = load_recipe(folder)
        return cls(recipe.model.name, weights, recipe.model.hyper, folder, recipe)

    @classmethod
    def of_file(cls, model: str, weights: PathLike, hyper: Mapping[str, Any] | None = None) -> Trained:
        """Take a weight file; one that lies in a run folder of the same network brings its hyper-parameters.

        Args:
            model: Registered name.
            weights: Weight file.
            hyper: Hyper-parameters to lay over these.

        Example:
            >>> Trained.of_file("aecrnet", "runs/quickstart/best.ckpt").hyper
            {'channels': 16, 'blocks': 1, 'deform_layers': 1, 'init_gain': 2.45}
        """
        folder = Path(weights).parent
        if (folder / "recipe.yaml").is_file():
            config = load_recipe(folder).model
            if config.name == model:
                return cls(model, weights, {**config.hyper, **(hyper or {})})
        return cls(model, weights, dict(hyper or {}))

    @classmethod
    def of_task(
        cls,
        task: str,
        weights: PathLike | None = None,
        *,
        model: str | None = None,
        hyper: Mapping[str, Any] | None = None,
    ) -> Trained:
        """Take the network for a task.

        Args:
            task: `derain` or `Deraining`, `deblur` or `Deblurring`, `denoise` or `Denoising`, `dehaze`, in any case.
            weights: Weight file; by default the one where the published demo keeps it.
            model: Registered name; by default the network that specialises in the task.
            hyper: Hyper-parameters that differ from the published ones.

        Raises:
            MindRestoreError: The task is unknown, the model does another one, or no weights were found.

        Example:
            >>> Trained.of_task("Deraining", "rain.ckpt").model
            'mprnet_deraining'
        """
        usual = network_for(task)
        model = model or usual
        require_task(model, task)
        if weights is None and model != usual:
            raise MindRestoreError(f"nothing says which weights {model} is to use; give --weights FILE")
        return cls.of_file(model, weights or published_weights(task), hyper)

    def usual_protocol(self) -> str:
        """Give the test protocol of the run, else of the first packaged recipe for this network, else `rgb`."""
        packaged = (load_recipe(name) for name in list_recipes())
        recipes = [self.recipe] if self.recipe else (recipe for recipe in packaged if recipe.model.name == self.model)
        return next((recipe.validation.final_protocol for recipe in recipes), "rgb")

    def restorer(self, device: str = "auto", tile: int | None = None) -> Restorer:
        """Load the network, ready for images of any size."""
        return Restorer(self.model, weights=self.weights, device=device, tile=tile, hyper=dict(self.hyper))


@dataclass(frozen=True)
class EvalReport:
    """Hold an evaluation of one set or several, its table, and the folder with CSV, JSON and pictures."""

    evaluation: Evaluation | SetsEvaluation
    table: str
    folder: Path


def train(recipe: Recipe | PathLike, *, resume: bool | str = "auto", run_dir: PathLike | None = None) -> TrainResult:
    """Train a recipe.

    Args:
        recipe: A recipe, its packaged name, a YAML file or a run folder.
        resume: "auto" goes on where the run folder has a state, True insists on one, False starts anew.
        run_dir: Run folder; by default output.root/output.name, named after the recipe when it has no output.name.

    Returns:
        The number of steps, the best metric and the run folder.

    Raises:
        MindRestoreError: Anything that the recipe, the data or the device lacks, by name.

    Example:
        >>> train("quickstart").run_dir
        PosixPath('runs/quickstart')
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    if recipe.data.root is None:
        raise DatasetError(f"recipe {recipe.name}: data.root is not set; give the folder, as in data.root=FOLDER")
    pairs = find_pairs(recipe.data.dataset, recipe.data.root, recipe.data.train_split)
    validate = validation(recipe)
    context.setup(recipe.train.device, mode=recipe.train.mode, seed=recipe.train.seed)
    rank, world = context.rank_and_world()
    loader = TrainLoader(
        pairs, config=recipe.data, batch_size=recipe.train.batch_size, seed=recipe.train.seed, rank=rank, world=world
    )
    net = create_model(recipe.model.name, **recipe.model.hyper)
    if recipe.model.weights:
        load_weights(net, recipe.model.weights)
    objective = build_objective(recipe.loss, stages=model_spec(recipe.model.name).stages)
    folder = run_dir or Path(recipe.output.root) / (recipe.output.name or recipe.name.replace("/", "_"))
    trainer = Trainer(recipe, net=net, objective=objective, loader=loader, run_dir=folder, validate=validate)
    return trainer.fit(resume=resume)


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
    pairs, protocol = TestSet().pairs(recipe), get_protocol(recipe.validation.protocol)
    best = recipe.validation.best_metric
    if best not in protocol.names:
        known = ", ".join(protocol.names)
        raise MindRestoreError(
            f"validation.best_metric={best}: protocol {protocol.name} has no such score, only {known}"
        )
    # CIEDE2000 and MS-SSIM take several times as long as the others and decide nothing here.
    watched = tuple(name for name in protocol.names if name in ("psnr", "ssim", best))
    protocol = replace(protocol, names=watched, centre_crop=recipe.data.val_crop or protocol.centre_crop)

    restorers: dict[nn.Cell, Restorer] = {}  # one per network: it compiles the network once

    def validate(net: nn.Cell) -> dict[str, float]:
        if net not in restorers:
            restorers[net] = Restorer(recipe.model.name, net=net)
        restorer = restorers[net]
        return evaluate_pairs(restorer.restore_float, pairs, protocol, limit=recipe.validation.max_images).mean

    return validate


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
    """Measure a trained network on pairs, and write table, CSV, JSON and side-by-side pictures.

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
        sets, pairs = [replace(entry, protocol=measure) if protocol else entry for entry in test_set], []
    folder = Path(out) if out else (trained.folder or Path()) / "report"
    folder.mkdir(parents=True, exist_ok=True)
    restorer = trained.restorer(device, tile)
    settings = {"model": trained.model, "weights": str(trained.weights)}
    if sets:
        result = evaluate_sets(restorer.restore_float, sets, save_dir=folder, limit=limit)
        write_sets(result, folder, settings)
        return EvalReport(result, format_sets(result), folder)
    evaluation = evaluate_pairs(restorer.restore_float, pairs, measure, save_dir=folder / "pictures", limit=limit)
    write_csv(evaluation, folder / "scores.csv")
    write_json(evaluation, folder / "scores.json", {**settings, "data": str(Path(pairs[0].input).parent)})
    return EvalReport(evaluation, format_table(evaluation), folder)


def export(
    source: Trained | PathLike,
    out: PathLike | None = None,
    *,
    size: tuple[int, int] | None = None,
    device: str = "auto",
) -> ExportReport:
    """Write a trained network as MINDIR, reload it and compare.

    Args:
        source: A run folder, or `Trained(model, weights)`.
        out: File to write; by default RUN_FOLDER/model.mindir, else beside the weights.
        size: (height, width) in pixels; any size when `None`.
        device: "auto", "CPU", "GPU" or "Ascend".

    Returns:
        The file and the differences that were measured.

    Raises:
        MindRestoreError: The weights cannot be used, or the reloaded file differs.

    Example:
        >>> export("runs/quickstart").path
        PosixPath('runs/quickstart/model.mindir')
    """
    trained = source if isinstance(source, Trained) else Trained.of_run(source)
    beside = Path(trained.weights).with_suffix(".mindir")
    target = Path(out) if out else (trained.folder / "model.mindir" if trained.folder else beside)
    context.setup(device)
    return export_model(trained.model, trained.weights, target, size=size, hyper=dict(trained.hyper))


def restore(
    source: Trained | PathLike,
    photos: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    overwrite: bool = False,
    png: bool = False,
    tile: int | None = None,
    device: str = "auto",
) -> RestoreSummary:
    """Restore a photograph or a folder of them; or SIDD's validation blocks or DND into the files of their programs.

    Args:
        source: A run folder, or `Trained(model, weights)`.
        photos: File, folder of files, or several of them; `ValidationNoisyBlocksSrgb.mat`; the folder of DND.
        out: Folder for the results, under the names of the inputs.
        overwrite: Replace results that are there; otherwise they stay.
        png: Write every result as NAME.png, 8-bit RGB; of SIDD and DND, write PNG files beside the MATLAB files.
        tile: Side of the tiles in pixels; whole images when `None`.
        device: "auto", "CPU", "GPU" or "Ascend".

    Returns:
        What was written and kept, and one message per image that failed; a bad file does not stop the others.

    Raises:
        MindRestoreError: There is nothing to restore, the results would replace the photographs, or the weights
            cannot be used.

    Example:
        >>> restore("runs/quickstart", "photos", "clean").written
        (PosixPath('clean/a.png'), PosixPath('clean/b.jpg'))
    """
    trained = source if isinstance(source, Trained) else Trained.of_run(source)
    restorer = trained.restorer(device, tile)
    whole = isinstance(photos, (str, Path)) and is_benchmark(photos)
    return (restore_benchmark if whole else restore_files)(restorer, photos, out, png=png, overwrite=overwrite)
