"""The published data sets as data: where their folders are, how files pair up, and how many there should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SPLITS = ("train", "val", "test")

_HAZY = ("hazy", "haze", "its_haze", "ots_haze")
_CLEAR = ("clear", "gt", "its_clear", "ots_clear")
_INPUT = ("input", "blur", "noisy", "rain", "rainy")
_TARGET = ("target", "groundtruth", "gt", "sharp", "clean", "norain")
_RAIN_SETS = ("test100", "rain100h", "rain100l", "test2800", "test1200")  # in the order of the published tables
_NTIRE_NUMBERS = {
    "train": ((1, 45),),
    "val": ((46, 50),),
    # AECR-Net and its ports test on the validation images; a folder that holds only those serves them.
    "test": ((51, 55), (46, 50)),
}


@dataclass(frozen=True)
class DatasetSpec:
    """Describe one published data set.

    Attributes:
        title: Name as its authors write it.
        rule: Pairing rule, see `mindrestore.data.pairing.RULES`.
        splits: Splits the data set has.
        places: Folders below the root that may hold the image folders, tried in order; `{split}` is filled in.
        inputs: Names of the folder of degraded images, in lower case, tried in order.
        targets: Names of the folder of clear images, likewise.
        names: Pattern of the degraded images' stems, by which "auto" recognises the data set.
        hint: Pattern that the path must hold as well ("auto" prefers a data set whose hint is there).
        needs_hint: Whether "auto" accepts the data set only with its hint.
        numbers: Per split, ranges of image numbers (both ends included); the first range present is used.
        counts: Per split, the published numbers of (degraded, clear) images; more than one where editions differ.
        total: Published number of pairs of all splits together, where their division is not published.
        one_to_one: Whether every clear image belongs to one degraded image, so that a lone one is a mistake.
        crop_target: Whether clear images are larger and are centre-cropped to their hazy image.
        recursive: Whether images lie in part folders.
        forms: How files may lie there, tried in order: "folders" (one of degraded, one of clear images) or a name of
            `mindrestore.data.forms.FORMS`.
        parts: Per split, the data sets whose images it joins.
        paired: Whether there are clear images.
        aliases: Other names that are accepted.
    """

    title: str
    rule: str
    splits: tuple[str, ...]
    places: tuple[str, ...]
    inputs: tuple[str, ...] = _HAZY
    targets: tuple[str, ...] = _CLEAR
    names: str = ""
    hint: str = ""
    needs_hint: bool = False
    numbers: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    counts: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    total: int | None = None
    one_to_one: bool = False
    crop_target: bool = False
    recursive: bool = False
    forms: tuple[str, ...] = ("folders",)
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paired: bool = True
    aliases: tuple[str, ...] = ()


def _benchmark(title: str, hint: str, count: int, folders: tuple[str, ...], **more: Any) -> DatasetSpec:
    """Describe a set in MPRNet's layout that serves as a test set: `folders` hold `input` and `target`."""
    return DatasetSpec(
        title=title,
        rule="same|role|version",
        splits=("test",),
        places=(*folders, ""),
        inputs=_INPUT,
        targets=_TARGET,
        names=".+",
        hint=hint,
        needs_hint=True,
        counts={"test": ((count, count),)},
        **more,
    )


def _rain_set(title: str, count: int) -> DatasetSpec:
    folders = tuple(f"{base}{title}" for base in ("Synthetic_Rain_Datasets/test/", "test/", ""))
    return _benchmark(title, rf"(^|/){title}(/|$)", count, folders)


def _rearranged(title: str, folder: str, hint: str, **more: Any) -> DatasetSpec:
    """Describe a set as DehazeFormer arranges it: {train,test}/{GT,hazy} with one clear image per hazy one."""
    return DatasetSpec(
        title=title,
        rule="same",
        splits=("train", "test"),
        places=(f"{folder}/{{split}}", "{split}", ""),
        names=".+",
        hint=rf"(^|/){hint}(/|$)",
        needs_hint=True,
        one_to_one=True,
        **more,
    )


CATALOG: dict[str, DatasetSpec] = {
    "reside_its": DatasetSpec(
        title="RESIDE ITS",
        rule="prefix|same",
        splits=("train",),
        places=("RESIDE/train", "ITS/train", "ITS", "RESIDE/ITS", "train", ""),
        names=r"\d{1,4}_\d{1,2}_0?\.\d+",
        counts={"train": ((13990, 1399),)},
        aliases=("its", "reside"),
    ),
    "reside_ots": DatasetSpec(
        title="RESIDE OTS",
        rule="prefix|same",
        splits=("train",),
        places=("OTS", "RESIDE/OTS", "OTS_BETA", "OTS_ALPHA", "train", ""),
        names=r"\d{4}_[01](\.\d+)?_0?\.\d+",
        hint=r"(^|/)ots(_|/|$)",
        needs_hint=True,  # SOTS outdoor has the same names
        counts={"train": ((72135, 2061), (313950, 8970))},
        recursive=True,
        aliases=("ots",),
    ),
    "sots_indoor": DatasetSpec(
        title="RESIDE SOTS indoor",
        rule="prefix|same",
        splits=("test",),
        places=(
            "indoor/nyuhaze500",
            "nyuhaze500",
            "indoor",
            "SOTS/indoor/nyuhaze500",
            "SOTS/indoor",
            "RESIDE/SOTS/indoor",
            "test",
            "",
        ),
        names=r"14\d\d_\d{1,2}",
        counts={"test": ((500, 50),)},
        crop_target=True,
        aliases=("sots", "nyuhaze500"),
    ),
    "sots_outdoor": DatasetSpec(
        title="RESIDE SOTS outdoor",
        rule="prefix|same",
        splits=("test",),
        places=("outdoor", "SOTS/outdoor", "RESIDE/SOTS/outdoor", "test", ""),
        names=r"\d{4}_[01](\.\d+)?_0?\.\d+",
        counts={"test": ((500, 492),)},
    ),
    "ab_folders": DatasetSpec(
        title="trainA, trainB, testA, testB",
        rule="order",
        splits=SPLITS,
        places=("",),
        forms=("ordered",),
    ),
    "hazecityscapes": DatasetSpec(
        title="HazeCityscapes",
        rule="order, 3 to 1",
        splits=SPLITS,
        places=("HazeCityscapes", ""),
        hint=r"cityscapes",
        forms=("ordered_threes",),
        aliases=("haze_cityscapes",),
    ),
    "reside_6k": DatasetSpec(
        title="RESIDE-6K",
        rule="same",
        splits=("train", "test"),
        places=("{split}", "RESIDE-6K/{split}", "RESIDE6K/{split}", ""),
        names=r".+",
        hint=r"6k",
        needs_hint=True,
        counts={"train": ((6000, 6000),), "test": ((1000, 1000),)},
    ),
    "reside_in": _rearranged(
        "RESIDE-IN", "RESIDE-IN", "reside[-_]?in", counts={"train": ((13990, 13990),), "test": ((500, 500),)}
    ),
    "reside_out": _rearranged("RESIDE-OUT", "RESIDE-OUT", "reside[-_]?out", counts={"test": ((500, 500),)}),
    "rs_haze": _rearranged(
        "RS-Haze", "RS-Haze", "rs[-_]?haze", counts={"train": ((51300, 51300),), "test": ((2700, 2700),)}
    ),
    "nid": _rearranged("NID", "NID", "nid", total=1000),
    "rsid": _rearranged("RSID", "RSID", "rsid", total=1000),
    "dense_haze": DatasetSpec(
        title="Dense-Haze",
        rule="role",
        splits=SPLITS,
        places=("Dense", "Dense-Haze", "Dense_Haze", "Dense_Haze_NTIRE19", "{split}", ""),
        names=r"\d\d_hazy",
        hint=r"dense",
        numbers=_NTIRE_NUMBERS,
        counts={"train": ((45, 45),), "val": ((5, 5),), "test": ((5, 5),)},
        aliases=("dense",),
    ),
    "nh_haze": DatasetSpec(
        title="NH-HAZE",
        rule="role",
        splits=SPLITS,
        places=("NHHaze", "NH-HAZE", "NH-Haze", "NH_HAZE", "{split}", ""),
        names=r"\d\d_hazy",
        hint=r"nh.?haze",
        numbers=_NTIRE_NUMBERS,
        counts={"train": ((45, 45),), "val": ((5, 5),), "test": ((5, 5),)},
        aliases=("nhhaze",),
    ),
    "o_haze": DatasetSpec(
        title="O-HAZE",
        rule="role",
        splits=SPLITS,
        places=("O-HAZE", "OHaze", "# O-HAZY NTIRE 2018", "{split}", ""),
        names=r"\d\d_outdoor_hazy",
        numbers={"train": ((1, 35),), "val": ((36, 40),), "test": ((41, 45),)},
        counts={"train": ((35, 35),), "val": ((5, 5),), "test": ((5, 5),)},
        aliases=("ohaze",),
    ),
    "i_haze": DatasetSpec(
        title="I-HAZE",
        rule="role",
        splits=SPLITS,
        places=("I-HAZE", "IHaze", "# I-HAZY NTIRE 2018", "{split}", ""),
        names=r"\d\d_indoor_hazy",
        numbers={"train": ((1, 25),), "val": ((26, 30),), "test": ((31, 35),)},
        counts={"train": ((25, 25),), "val": ((5, 5),), "test": ((5, 5),)},
        aliases=("ihaze",),
    ),
    "gopro": DatasetSpec(
        title="GoPro",
        rule="same",
        splits=("train", "test"),
        places=("GoPro/{split}", "GOPRO_Large/{split}", "{split}", ""),
        inputs=_INPUT,
        targets=_TARGET,
        names=r"GOPR\d+_\d+_\d+-\d+",
        hint=r"gopro",
        counts={"train": ((2103, 2103),), "test": ((1111, 1111),)},
        forms=("folders", "sequences"),
        aliases=("gopro_large",),
    ),
    "hide": _benchmark("HIDE", r"(^|/)hide(_|/|$)", 2025, ("HIDE/test", "test")),
    "realblur_j": _benchmark("RealBlur-J", r"realblur[-_]?j", 980, ("RealBlur_J/test", "test")),
    "realblur_r": _benchmark("RealBlur-R", r"realblur[-_]?r", 980, ("RealBlur_R/test", "test")),
    "sidd": DatasetSpec(
        title="SIDD",
        rule="same",
        splits=SPLITS,
        places=("SIDD/{split}", "SIDD", "{split}", ""),
        inputs=_INPUT,
        targets=_TARGET,
        names=".+",
        hint=r"sidd",
        needs_hint=True,
        counts={"train": ((96000, 96000),), "val": ((1280, 1280),), "test": ((1280, 1280),)},
        forms=("folders", "blocks"),
        aliases=("sidd_mat",),
    ),
    "sidd_medium": DatasetSpec(
        title="SIDD-Medium",
        rule="same",
        splits=("train",),
        places=("SIDD_Medium_Srgb/Data", "SIDD_Medium/Data", "SIDD_Medium_Srgb", "SIDD_Medium", "Data", ""),
        counts={"train": ((320, 320),)},
        forms=("scenes",),
    ),
    "dnd": DatasetSpec(
        title="DND",
        rule="same",
        splits=("test",),
        places=("DND", "test/DND", "test", ""),
        forms=("photographs",),
        paired=False,
    ),
    "synthetic_rain": DatasetSpec(
        title="Synthetic Rain Datasets",
        rule="same|role|version",
        splits=SPLITS,
        places=("Synthetic_Rain_Datasets/{split}", "{split}", ""),
        inputs=_INPUT,
        targets=_TARGET,
        names=".+",
        hint=r"synthetic_rain",
        needs_hint=True,
        counts={"train": ((13712, 13712),)},
        parts={"val": ("rain100l",), "test": _RAIN_SETS},
        aliases=("rain13k",),
    ),
    "test100": _rain_set("Test100", 98),
    "rain100h": _rain_set("Rain100H", 100),
    "rain100l": _rain_set("Rain100L", 100),
    "test2800": _rain_set("Test2800", 2800),
    "test1200": _rain_set("Test1200", 1200),
    "folders": DatasetSpec(
        title="paired folders",
        rule="auto",
        splits=SPLITS,
        places=("{split}", ""),
        inputs=("hazy", "input", "haze", "inputs", "rainy", "rain", "blur", "blurry", "noisy", "lq"),
        targets=("clear", "target", "gt", "targets", "clean", "sharp", "groundtruth", "hq"),
        aliases=("generic",),
    ),
}
