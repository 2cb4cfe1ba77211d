"""What is measured: the pairs of one data set, or several named sets that make one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mindrestore.data.catalog import CATALOG, DatasetError, dataset_name, find_pairs, find_sets
from mindrestore.data.pairing import Pair
from mindrestore.evaluation.protocol import Protocol, get_protocol
from mindrestore.files import PathLike
from mindrestore.images.read import list_images
from mindrestore.recipes.schema import EvalSetConfig, Recipe


@dataclass(frozen=True)
class NamedSet:
    """Name the pairs of one test set and how they are measured.

    Args:
        name: Name in the table, and of the folder of its report.
        pairs: Pairs in the order of the report; none when the set belongs to the table but is not there.
        protocol: A protocol or its name.
        task: What the network does there. Sets of one task are averaged before the mean over the tasks is taken.
    """

    name: str
    pairs: Sequence[Pair]
    protocol: str | Protocol
    task: str | None = None

    @property
    def noise_seed(self) -> int:
        """Seed of the noise that is added to clear images."""
        return (self.protocol if isinstance(self.protocol, Protocol) else get_protocol(self.protocol)).noise_seed


@dataclass(frozen=True)
class TestSet:
    """Which pairs to measure; what is `None` comes from the run's recipe, else it is detected.

    Attributes:
        root: Folder of the data set, or of several data sets side by side.
        dataset: Name of the catalog.
        split: Part of the data set.
        noise_seed: Seed of the noise that is added to clear images; `None` for that of the protocol.
    """

    __test__ = False  # not a test class, whatever pytest concludes from the name

    root: PathLike | None = None
    dataset: str | None = None
    split: str | None = None
    noise_seed: int | None = None

    def pairs(self, recipe: Recipe | None = None) -> list[Pair]:
        """Find the pairs.

        Raises:
            DatasetError: Nothing says where the pairs are, or they cannot be found there.
        """
        return find_pairs(*self._place(recipe))

    def named_sets(self, protocol: str | Protocol, recipe: Recipe | None = None) -> list[NamedSet]:
        """Find the sets that a recipe lists, or those that lie side by side as in Synthetic_Rain_Datasets/test.

        Args:
            protocol: How sets are measured that do not say it themselves.
            recipe: As for `pairs`.

        Returns:
            The sets in the order of the published table, those that are missing without pairs. Empty when the
            folder holds one data set, when another split than `test` is asked for, or a data set without parts.

        Raises:
            DatasetError: Nothing says where the sets are, or the folder is missing.
            PairingError: A degraded image has no clear partner.
        """
        if recipe is not None and (listed := recipe_sets(recipe, self.root, self.noise_seed)):
            return listed
        dataset, root, split = self._place(recipe)
        if split != "test" or (dataset != "auto" and split not in CATALOG[dataset_name(dataset)].parts):
            return []
        found = find_sets(root)
        published = _published_table(list(found))
        if len(found) < 2 and not published:
            return []
        names = published + [name for name in found if name not in published]
        return [NamedSet(name, found.get(name, []), protocol) for name in names]

    def _place(self, recipe: Recipe | None) -> tuple[str, PathLike, str]:
        if self.root is not None:
            return self.dataset or "auto", self.root, self.split or "test"
        if recipe is None:
            raise DatasetError("no test images given; name the folder of the test pairs with --data")
        data = recipe.data
        root = data.val_root or data.root
        if root is None:
            raise DatasetError("the recipe names no test data; name the folder with --data or data.val_root=FOLDER")
        return self.dataset or data.val_dataset or data.dataset, root, self.split or data.val_split


def found_in(test_set: TestSet) -> TestSet | None:
    """Return the test set if its folder holds such a data set, None where it holds another one or several."""
    try:
        test_set.pairs()
    except DatasetError:
        return None
    return test_set


def recipe_sets(recipe: Recipe, root: PathLike | None = None, noise_seed: int | None = None) -> list[NamedSet]:
    """Find the test sets that a recipe lists under `validation.sets`.

    Args:
        recipe: Its sets lie below `data.val_root`, else below `data.root`.
        root: Another folder to look in; it counts when it holds the folders of all sets.
        noise_seed: Seed of the noise that is added to clear images; that of the protocol when `None`.

    Returns:
        The sets in the order of the recipe, each with its own protocol; none when the recipe lists none, or `root`
        does not hold them.

    Raises:
        DatasetError: A folder is missing or holds no image, or nothing says where the sets are.
        PairingError: A degraded image has no clear partner.
    """
    entries = recipe.validation.sets
    if root is not None and not all((Path(root) / entry.root).is_dir() for entry in entries):
        return []
    place = Path(root or recipe.data.val_root or recipe.data.root or ".")
    sets = [_recipe_set(entry, place / entry.root, recipe) for entry in entries]
    if noise_seed is None:
        return sets
    return [replace(entry, protocol=replace(get_protocol(entry.protocol), noise_seed=noise_seed)) for entry in sets]


def _recipe_set(entry: EvalSetConfig, folder: Path, recipe: Recipe) -> NamedSet:
    if not folder.is_dir():
        raise DatasetError(
            f"test set {entry.name}: there is no folder {folder}; set data.val_root, or leave the set out of "
            "validation.sets"
        )
    if entry.sigma is None:
        pairs = find_pairs(entry.dataset, folder, entry.split)
    else:
        pairs = [Pair(path.stem, path, path, noise=(entry.sigma,)) for path in list_images(folder)]
    if not pairs:
        raise DatasetError(f"test set {entry.name}: there is no image in {folder}")
    return NamedSet(entry.name, pairs, entry.protocol or recipe.validation.final_protocol, entry.task)


def _published_table(found: Sequence[str]) -> list[str]:
    """List the sets of the published table that most of these folders belong to, by folder name where there is one."""
    folders = {name.lower(): name for name in found}
    tables = [[CATALOG[part].title for part in spec.parts.get("test", ())] for spec in CATALOG.values()]
    here = [sum(title.lower() in folders for title in titles) for titles in tables]
    best = tables[here.index(max(here))] if any(here) else []
    return [folders.get(title.lower(), title) for title in best]
