"""Weights of one size of a family in the network of another: the message names both."""

from __future__ import annotations

import pytest

from mindrestore.models.registry import ModelError, create_model
from mindrestore.weights.convert import WeightError, load_weights


@pytest.mark.parametrize(("given", "wanted"), [("t", "s"), ("s", "t")])
def test_weights_of_another_variant_name_both(given, wanted):
    weights = {name: param.asnumpy() for name, param in create_model(f"dehazeformer_{given}").parameters_and_names()}
    with pytest.raises(WeightError, match=rf"DehazeFormer \('dehazeformer_{wanted}'\).*of 'dehazeformer_{given}'"):
        load_weights(create_model(f"dehazeformer_{wanted}"), weights)


def test_unknown_variants_name_the_closest():
    with pytest.raises(ModelError, match="unknown model 'dehazeformer-b'; did you mean 'dehazeformer_b'"):
        create_model("dehazeformer-b")
