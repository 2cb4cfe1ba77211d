"""Weights of one size of a family in the network of another: the message names both."""

from __future__ import annotations

import numpy as np
import pytest
from dehazeformer_table import dehazeformer_shapes

from mindrestore.models.registry import ModelError, create_model, model_spec
from mindrestore.weights.convert import WeightError, load_weights


@pytest.mark.parametrize(("given", "wanted"), [("t", "s"), ("s", "t")])
def test_weights_of_another_variant_name_both(given, wanted):
    shapes = dehazeformer_shapes(**model_spec(f"dehazeformer_{given}").hyper)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(WeightError, match=rf"DehazeFormer \('dehazeformer_{wanted}'\).*of 'dehazeformer_{given}'"):
        load_weights(create_model(f"dehazeformer_{wanted}"), weights)


def test_unknown_variants_name_the_closest():
    with pytest.raises(ModelError, match="unknown model 'dehazeformer-b'; did you mean 'dehazeformer_b'"):
        create_model("dehazeformer-b")
