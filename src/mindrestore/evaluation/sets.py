"""Say what is measured: the pairs of one data set, or several named sets that make one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mindrestore.data.catalog import CATALOG, DatasetError, dataset_name, find_pairs, find_sets
from mindrestore.data.images import PathLike
from mindrestore.data.pairing import Pair
from mindrestore.evaluation.protocol import Protocol
from mindrestore.recipes.schema import Recipe


@dataclass(frozen=True)
class NamedSet:
    """Name the pairs of one test set and how they are measured.

    Args:
        name: Name in the table, and of the folder of its report.
        pairs: Pairs in the order of the report; none when the set belongs to the table but is not there.
        protocol: A protocol or its name.

    Example:
        >>> table = [NamedSet("Rain100L", find_pairs("auto", "Rain100L", "test"), "mpr-derain")]
    """

    name: str
    pairs: Sequence[Pair]
    protocol: str | Protocol


@dataclass(frozen=True)
class TestSet:
    """Say which pairs to measure; what is `None` comes from the run's recipe, else it is detected.

    Attributes:
        root: Folder of the data set, or of several data sets side by side.
        dataset: Name of the catalog.
        split: Part of the data set.
    """

    __test__ = False  # not a test class, whatever pytest concludes from the name

    root: PathLike | None = None
    dataset: str | None = None
    split: str | None = None

    def pairs(self, recipe: Recipe | None = None) -> list[Pair]:
        """Find the pairs.

        Raises:
            DatasetError: Nothing says where the pairs are, or they cannot be found there.
        """
        return find_pairs(*self._place(recipe))

    def named_sets(self, protocol: str | Protocol, recipe: Recipe | None = None) -> list[NamedSet]:
        """Find test sets that lie side by side, such as the five of Synthetic_Rain_Datasets/test.

        Args:
            protocol: How every set is measured.
            recipe: As for `pairs`.

        Returns:
            The sets in the order of the published table, those that are missing without pairs. Empty when the
            folder holds one data set, when another split than `test` is asked for, or a data set without parts.

        Raises:
            DatasetError: Nothing says where the sets are, or the folder is missing.
            PairingError: A degraded image has no clear partner.

        Example:
            >>> [entry.name for entry in TestSet("Synthetic_Rain_Datasets/test").named_sets("mpr-derain")]
            ['Test100', 'Rain100H', 'Rain100L', 'Test2800', 'Test1200']
        """
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
            raise DatasetError("nothing says which images to measure; give the folder of the test pairs with --data")
        data = recipe.data
        root = data.val_root or data.root
        if root is None:
            raise DatasetError("the recipe names no test data; give the folder with --data or data.val_root=FOLDER")
        return self.dataset or data.val_dataset or data.dataset, root, self.split or data.val_split


def _published_table(found: Sequence[str]) -> list[str]:
    """List the sets of the published table that most of these folders belong to, by folder name where there is one."""
    folders = {name.lower(): name for name in found}
    tables = [[CATALOG[part].title for part in spec.parts.get("test", ())] for spec in CATALOG.values()]
    here = [sum(title.lower() in folders for title in titles) for titles in tables]
    best = tables[here.index(max(here))] if any(here) else []
    return [folders.get(title.lower(), title) for title in best]
