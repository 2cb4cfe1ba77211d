"""What a recipe may say: one frozen dataclass per concern, with types, ranges and defaults.

A recipe is data (YAML); these classes are the only description of its keys. `recipes.build` fills them.
"""

from __future__ import annotations

# ruff: noqa: UP045 - the annotations are evaluated at run time, where Python 3.9 has no `X | None`
from dataclasses import dataclass, field
from typing import Any, Optional

from mindrestore.errors import MindRestoreError
from mindrestore.recipes.terms import PixelTerm
from mindrestore.recipes.values import EPOCHS, SIDE, STEPS, WEIGHT, bounds
from mindrestore.recipes.values import bounded as _value


class RecipeError(MindRestoreError):
    """Report a recipe, key or value that cannot be used."""


@dataclass(frozen=True)
class ModelConfig:
    """Which network, its hyper-parameters, and weights to start from."""

    name: str = "aecrnet"  # the network, see `mindrestore models`
    # hyper-parameters of the network, see the second table
    hyper: dict[str, Any] = field(default_factory=dict, metadata=bounds(minimum=-1e6, maximum=1e6))
    task: Optional[str] = None  # what it learns to remove, where that is not what its paper is about
    weights: Optional[str] = None  # a file, or a name of `mindrestore weights list`
    follows: Optional[str] = None  # the recipe whose weights this one starts from: training without them is refused
    encoder_weights: Optional[str] = None  # VGG file that the encoder starts from; None: from scratch or `weights`


@dataclass(frozen=True)
class MixupConfig:
    """Mix every sample with another of its batch; one share per sample, drawn from Beta(alpha, alpha)."""

    alpha: float = _value(0.6, above=0, maximum=100)  # shares are drawn from Beta(alpha, alpha)
    from_epoch: int = _value(6, minimum=1, maximum=EPOCHS)  # counted from 1


@dataclass(frozen=True)
class PasteConfig:
    """Paste a square of the clear patch over the degraded one, at the same place."""

    probability: float = _value(0.5, above=0, maximum=1)  # of pasting a square of the clear patch
    max_ratio: float = _value(0.5, above=0, maximum=1)  # of the square's side to that of the patch; drawn from 0 on


@dataclass(frozen=True)
class SourceConfig:
    """One of several data sets that are mixed in training."""

    root: str = "."  # below data.root
    dataset: str = "auto"  # as data.dataset
    split: str = "train"  # part of the data set
    # of an epoch, relative to the others; None: its number of pairs
    share: Optional[float] = _value(None, above=0, maximum=1e6)
    # of red, green and blue, for its degraded images; empty: as stored
    gamma: tuple[float, ...] = _value((), above=0, maximum=100)


@dataclass(frozen=True)
class DataConfig:
    """Where the image pairs are and how they become training patches."""

    dataset: str = "auto"  # name of a layout, docs/datasets.md; auto: recognised
    root: Optional[str] = None  # folder of the training data
    train_split: str = "train"  # part of the data set to train on
    val_dataset: Optional[str] = None  # None: same as `dataset`
    val_root: Optional[str] = None  # None: same as `root`
    val_split: str = "test"  # part of the data set to validate on
    patch_size: int = _value(240, minimum=1, maximum=SIDE)  # side of the training patches in pixels
    # in this order, docs/datasets.md
    augment: tuple[str, ...] = _value(
        ("hflip", "rot90"), choices=("hflip", "vflip", "rot90", "transpose", "dihedral9", "saturation")
    )
    mixup: Optional[MixupConfig] = None  # None: off
    paste: Optional[PasteConfig] = None  # None: off
    edge_decay: float = _value(0.0, minimum=0, maximum=1000)  # above 0: crops reach the image's border more often
    # validate on the middle of the images, at most this many pixels
    val_crop: Optional[int] = _value(None, minimum=1, maximum=65536)
    workers: Optional[int] = _value(
        None, minimum=0, maximum=1024
    )  # per process; None: its share of the cores, at most 8
    processes: bool = False  # True: the workers are processes instead of threads
    cache: str = _value("memory", choices=("memory", "disk", "none"))  # of decoded images
    cache_gb: Optional[float] = _value(None, minimum=0, maximum=100_000)  # None: 0.5 in memory, 32 on disk
    cache_dir: Optional[str] = None  # of cache "disk"; None: $MINDRESTORE_CACHE/images or ~/.cache/mindrestore/images
    repeat: int = _value(1, minimum=1, maximum=10_000)  # passes over the pairs that make one epoch
    train_list: Optional[str] = None  # CSV file of pairs, also below root; replaces dataset and split
    # least and greatest sigma for images listed twice
    noise_range: tuple[int, ...] = _value((0, 55), minimum=0, maximum=255)
    noise_levels: tuple[int, ...] = _value((), minimum=0, maximum=255)  # the sigmas to draw from instead of the range
    mix: tuple[SourceConfig, ...] = ()  # data sets to train on instead of `dataset`


@dataclass(frozen=True)
class LossConfig:
    """Named loss terms, each with its weight and settings; null switches a term off, as weight 0 does."""

    terms: dict[str, Any] = field(default_factory=lambda: {"l1": PixelTerm()})  # name -> its settings, see `terms.py`
    stage_weights: tuple[float, ...] = _value((), minimum=0, maximum=WEIGHT)  # final stage first; empty: 1 for each


@dataclass(frozen=True)
class OptimConfig:
    """Optimizer, gradient clipping and accumulation."""

    name: str = _value("adam", choices=("adam", "adamw"))  # the optimizer
    lr: float = _value(1e-4, above=0, maximum=10)  # learning rate
    betas: tuple[float, ...] = _value((0.9, 0.999), minimum=0, below=1)  # decay of both moments
    eps: float = _value(1e-8, above=0, maximum=1)  # of Adam's denominator
    weight_decay: float = _value(0.0, minimum=0, maximum=10)  # L2 penalty of adam, decoupled for adamw
    # largest norm of all gradients together; None: no clipping
    clip_norm: Optional[float] = _value(None, above=0, maximum=1e9)
    accumulate: int = _value(1, minimum=1, maximum=10_000)  # micro-batches per update
    # beginning of parameter names -> multiple of lr
    lr_factors: dict[str, float] = field(default_factory=dict, metadata=bounds(above=0, maximum=1000))


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over time; warmup, cosine_extra, milestones and periods count in `unit`, shares are of the run."""

    # curve of the learning rate
    name: str = _value("cosine", choices=("cosine", "cosine_restarts", "step", "constant"))
    unit: str = _value("step", choices=("step", "epoch"))  # what the numbers below count
    warmup: int = _value(0, minimum=0, maximum=STEPS)  # length of the linear warm-up
    min_lr: float = _value(0.0, minimum=0, maximum=10)  # final learning rate of a cosine
    # how much longer than the run the cosine is; -1: the last unit ends it
    cosine_extra: int = _value(0, minimum=-1, maximum=STEPS)
    periods: tuple[int, ...] = _value((), minimum=1, maximum=STEPS)  # of cosine_restarts
    restart_weights: tuple[float, ...] = _value((), minimum=0, maximum=1000)  # height of each period; empty: 1 for each
    # of step: where the rate is multiplied by gamma
    milestones: tuple[int, ...] = _value((), minimum=1, maximum=STEPS)
    milestone_shares: tuple[float, ...] = _value((), above=0, below=1)  # instead of milestones
    gamma: float = _value(0.5, above=0, maximum=10)  # of step: the factor


@dataclass(frozen=True)
class LossScaleConfig:
    """Scaling of the loss before the backward pass, against underflow in half precision."""

    kind: str = _value("none", choices=("none", "fixed", "dynamic"))  # none, or a loss scale manager of MindSpore
    value: float = _value(1024.0, above=0, maximum=2**31)  # the scale, or the first one of dynamic
    factor: int = _value(2, minimum=2, maximum=1024)  # of dynamic: change of the scale
    window: int = _value(1000, minimum=1, maximum=STEPS)  # of dynamic: steps without overflow before the scale grows


@dataclass(frozen=True)
class ProgressiveConfig:
    """Stages of progressive training: growing patches, shrinking batches, and the epoch at which each stage ends."""

    # side of the patches of every stage
    patch_sizes: tuple[int, ...] = _value((128, 160, 192, 256), minimum=1, maximum=SIDE)
    batch_sizes: tuple[int, ...] = _value((16, 14, 12, 8), minimum=1, maximum=4096)  # batch size of every stage
    # counted from 1, that epoch included
    epoch_chg: tuple[int, ...] = _value((135, 238, 314, 347), minimum=1, maximum=EPOCHS)

    @property
    def stages(self) -> list[tuple[int, int, int]]:
        """Last epoch, patch size and batch size of every stage."""
        return list(zip(self.epoch_chg, self.patch_sizes, self.batch_sizes))


@dataclass(frozen=True)
class TrainConfig:
    """Length, batch, seed, device and the rhythm of logging, validation and checkpoints."""

    batch_size: int = _value(16, minimum=1, maximum=4096)  # per process
    progressive: Optional[ProgressiveConfig] = None  # replaces batch_size and data.patch_size; None: off
    epochs: Optional[int] = _value(None, minimum=1, maximum=EPOCHS)  # length of the run in epochs
    max_steps: Optional[int] = _value(None, minimum=1, maximum=STEPS)  # length of the run in steps
    seed: int = _value(666, minimum=0, maximum=2**32 - 1)  # of weights, data order and augmentation
    mode: str = _value("graph", choices=("graph", "pynative"))  # compiled graphs, or operator by operator
    device: str = _value("auto", choices=("auto", "CPU", "GPU", "Ascend"))  # what trains
    # O0: float32; else convolutions and products in this type
    amp: str = _value("O0", choices=("O0", "float16", "bfloat16"))
    log_every: int = _value(50, minimum=1, maximum=STEPS)  # steps
    val_every: int = _value(1, minimum=0, maximum=STEPS)  # 0: never
    val_unit: str = _value("epoch", choices=("step", "epoch"))  # what val_every counts
    checkpoint_every: int = _value(1, minimum=0, maximum=STEPS)  # 0: only at the end
    checkpoint_unit: str = _value("epoch", choices=("step", "epoch"))  # what checkpoint_every counts
    # updates in a row with a non-finite loss that end the run
    nonfinite_patience: int = _value(3, minimum=1, maximum=STEPS)
    tensorboard: bool = False  # True: also write event files for TensorBoard


@dataclass(frozen=True)
class EmaConfig:
    """Exponential moving average of the weights; decay 0 switches it off."""

    decay: float = _value(0.0, minimum=0, below=1)  # 0: no averaging


@dataclass(frozen=True)
class EvalSetConfig:
    """One of several test sets that make a table."""

    name: str = "test"  # name in the table
    root: str = "."  # below data.val_root, or data.root without one
    dataset: str = "auto"  # as data.dataset
    split: str = "test"  # part of the data set
    # clear images, to which noise of this deviation is added
    sigma: Optional[int] = _value(None, minimum=0, maximum=255)
    protocol: Optional[str] = None  # None: that of `validation`
    task: Optional[str] = None  # sets of one task are averaged first in the mean over tasks


@dataclass(frozen=True)
class ValidationConfig:
    """How whole images are measured during training, and what makes a checkpoint the best."""

    protocol: str = "aecr"  # how scores are measured, docs/metrics.md
    test_protocol: Optional[str] = None  # of `eval` after training; None: same as `protocol`
    best_metric: str = "psnr"  # what makes weights the best
    max_images: Optional[int] = _value(None, minimum=1, maximum=10_000_000)  # images per validation; None: all
    sets: tuple[EvalSetConfig, ...] = ()  # several test sets instead of the one of `data`; scores are their average

    @property
    def final_protocol(self) -> str:
        """Return the protocol of `eval`, which publishes scores where validation only compares checkpoints."""
        return self.test_protocol or self.protocol


@dataclass(frozen=True)
class OutputConfig:
    """The run folder is root/name; without a name it is called after the recipe."""

    root: str = "runs"  # folder of the run folders
    name: Optional[str] = None  # name of the run folder; None: that of the recipe
    best_name: Optional[str] = None  # also keep the best weights as this, with {epoch} (from 0), {step} and {psnr}


@dataclass(frozen=True)
class Recipe:
    """Everything that defines one training run."""

    name: str = "custom"  # shown in logs and reports
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss_scale: LossScaleConfig = field(default_factory=LossScaleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    ema: EmaConfig = field(default_factory=EmaConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    then: Optional[dict[str, Any]] = None  # what a second training, from the weights of this one, does differently
