"""The examples of the public names are run, in a folder with what they speak of: photographs, a run, weights."""

from __future__ import annotations

import doctest
import importlib
import os
from pathlib import Path

import numpy as np
import pytest

import mindrestore
from small import small

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Results(doctest.OutputChecker):
    """Compare what an example returns: what a run logs before that is not part of it."""

    def check_output(self, want, got, optionflags):
        return super().check_output(want, got, optionflags) or (bool(want) and got.endswith(f"\n{want}"))


def examples(name: str) -> list[doctest.DocTest]:
    """Return the examples of a public name, those of a class before those of its methods."""
    value = getattr(mindrestore, name)
    module = importlib.import_module(value.__module__)
    found = doctest.DocTestFinder().find(value, name, module=module, globs={})
    return sorted((test for test in found if test.examples), key=lambda test: test.lineno)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_data):
    """Return a folder with two photographs, the data of `quickstart`, a run of it, and two files of weights."""
    from mindrestore.images.write import write_image
    from mindrestore.recipes.load import recipe_to_yaml

    place = tmp_path_factory.mktemp("examples")
    rng = np.random.default_rng(0)
    for photo in ("a.png", "b.jpg"):
        write_image(place / "photos" / photo, rng.integers(0, 256, (40, 48, 3), np.uint8))
    (place / "data").mkdir()
    (place / "data" / "quickstart").symlink_to(tiny_data)
    mindrestore.save_weights(mindrestore.create_model("aecrnet"), place / "runs" / "its" / "best.ckpt")
    mindrestore.save_weights(mindrestore.create_model("mprnet_deraining"), place / "rain.npz")
    recipe, run = mindrestore.load_recipe("quickstart"), place / "runs" / "quickstart"
    mindrestore.save_weights(mindrestore.create_model("aecrnet", **recipe.model.hyper), run / "best.ckpt")
    (run / "recipe.yaml").write_text(recipe_to_yaml(recipe))
    before = Path.cwd()
    os.chdir(place)
    yield place
    os.chdir(before)


def test_every_public_name_has_an_example():
    assert [name for name in mindrestore.__all__ if not examples(name)] == []


# `tests/cli/test_end_to_end.py` trains and exports the same network.
COMPILED = ("export", "train")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in COMPILED else name for name in mindrestore.__all__]
)
def test_examples_are_true(name, folder):
    from mindspore import Tensor

    names = {
        **{public: getattr(mindrestore, public) for public in mindrestore.__all__},
        "np": np,
        "photo": np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8),
        "hazy": Tensor(np.zeros((1, 3, 64, 48), np.float32)),
        "net": small("aecrnet"),
    }
    said: list[str] = []
    runner = doctest.DocTestRunner(checker=Results(), optionflags=FLAGS)
    for test in examples(name):
        test.globs = names  # what an example defines stays for those of the methods
        runner.run(test, out=said.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
