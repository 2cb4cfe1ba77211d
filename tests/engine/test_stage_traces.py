"""Both stages of CrossDehaze, three AdamW steps each, against the published training function."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from golden import load_golden_dehazeformer
from mindrestore.engine.optim import build_optimizer
from mindrestore.engine.step import StepOptions, SupervisedStep
from mindrestore.losses.batch_context import BatchContext
from mindrestore.losses.objective import build_objective
from mindrestore.models.registry import create_model, model_spec
from mindrestore.models.wrapper import in_unit_range
from mindrestore.recipes.load import load_recipe

SHAPE, EPOCH, SIGMA = (1, 3, 64, 64), 250, 1.3  # of the traces


# `test_scheduled_terms.py` trains a small network so, and `test_dehazeformer.py` has the golden gradients.
@pytest.mark.slow
@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_three_steps(stage, golden_dir):
    golden = np.load(golden_dir / "dehazeformer_t.npz")
    blur = [f"loss.terms.consistency.sigma=[{SIGMA}, {SIGMA}]"] if stage == "stage2" else []
    recipe = load_recipe(f"crossdehaze/nid_{stage}", blur)
    net = load_golden_dehazeformer(create_model("dehazeformer_t")).set_train()
    objective = build_objective(recipe.loss)
    optimizer = build_optimizer(recipe.optim, net.trainable_params())
    trained = in_unit_range(net, model_spec("dehazeformer_t"))
    step = SupervisedStep(trained, objective, optimizer, options=StepOptions(mode="pynative"))
    images = [Tensor(np.float32(np.random.RandomState(seed).rand(*SHAPE))) for seed in (0, 1)]
    context = BatchContext(EPOCH, recipe.train.epochs, *SHAPE[2:], np.random.default_rng(0))
    losses = []
    for _ in range(3):
        term_inputs = [Tensor(array) for array in objective.term_inputs(context)]
        losses.append(step(*images, recipe.optim.lr, term_inputs).total)
    np.testing.assert_allclose(losses, golden[f"{stage}.losses"], rtol=1e-4)
    params = {param.name: param for param in net.trainable_params()}
    for name, head in zip(golden[f"{stage}.param_names"], golden[f"{stage}.params_after"]):
        found = params[name].asnumpy().ravel()[:8]
        np.testing.assert_allclose(found, head[: len(found)], atol=5e-5, err_msg=name)
    net.set_train(False)
    with ms._no_grad():
        output = trained(images[0]).asnumpy()
    after = 2 * np.abs(output - images[1].asnumpy()).mean()
    assert after == pytest.approx(float(golden[f"{stage}.l1_after"]), rel=1e-4)
