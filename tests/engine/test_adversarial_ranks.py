"""Two ranks train a network and its discriminator as one process with the whole batch does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rivals_run import PlainJudge, train

from mindrestore.launch.job import run_job
from mindrestore.launch.plan import Cluster, make_plan

HERE = Path(__file__).parent


@pytest.mark.slow
def test_two_ranks_average_the_gradients_of_both_sides(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE.parents[1] / "src"))
    monkeypatch.setenv("GLOG_v", "3")
    expected = train(tmp_path / "one")
    (tmp_path / "logs").mkdir()
    words = [str(HERE / "rivals_run.py"), str(tmp_path)]
    run_job(make_plan(Cluster("CPU", per_node=2), words, tmp_path / "logs"))
    first, second = (dict(np.load(tmp_path / f"rank{rank}.npz")) for rank in range(2))
    assert first["updates"] == 7  # one rank's batch was not finite, and neither rank updated
    assert first.keys() == second.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(second[name], first[name], err_msg=name)
        np.testing.assert_allclose(first[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    start = PlainJudge().first.weight.asnumpy()
    assert np.abs(expected["discriminator.first.weight"] - start).max() > 1e-2
