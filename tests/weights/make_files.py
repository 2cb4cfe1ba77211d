"""Make the small files beside this script; needs PyTorch: `python tests/weights/make_files.py`.

`zip.pth` and `legacy.pth` come from `torch.save` in its two formats, the .pdparams files from pickle in the form that
PaddlePaddle gives to a state dict and to a nested one. `expected.npz` holds the arrays that have to come out.
"""

from __future__ import annotations

import pickle
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "files"


class PaddleTensor:
    """Pickle as PaddlePaddle's tensors do: as a tuple of name and values."""

    def __init__(self, values):
        self.values = values

    def __reduce__(self):
        return (tuple, (("linear_0.w_0", self.values),))


def tensors():
    """Return tensors of every kind that checkpoints hold."""
    import torch

    base = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8)
    found = OrderedDict((str(kind).partition(".")[2], (4 * base).to(kind)) for kind in kinds)
    found.update(
        float32=base,
        transposed=base.t(),
        strided=base[1:5:2, ::2],
        expanded=torch.tensor([3.0]).expand(4, 2),
        scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(base[0]),
        boolean=base > 0,
        uint8=torch.arange(3, dtype=torch.uint8),
    )
    return found


def checkpoint(found):
    """Put the tensors into a checkpoint with everything that training leaves in one."""
    import torch

    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = OrderedDict((f"module.{name}", tensor) for name, tensor in found.items())
    state._metadata = OrderedDict([("", {"version": 1})])
    return {
        "epoch": 3,
        "state_dict": state,
        "optimizer": optimizer.state_dict(),
        "psnrs": [np.float64(31.5), np.float32(2.0)],
        "milestones": Counter([80, 80, 160]),
        "size": torch.ones(2, 3).shape,
        "type": torch.float16,
        "device": torch.device("cpu"),
    }


def main():
    import torch

    FOLDER.mkdir(exist_ok=True)
    found = tensors()
    torch.save(checkpoint(found), FOLDER / "zip.pth")
    torch.save(checkpoint(found), FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
    arrays = {name: tensor.detach().float().numpy() for name, tensor in found.items() if name == "bfloat16"}
    arrays.update({name: tensor.detach().numpy() for name, tensor in found.items() if name != "bfloat16"})
    np.savez(FOLDER / "expected.npz", **arrays)

    flat = {name: arrays[name] for name in ("float32", "float16", "transposed", "scalar")}
    for protocol in (2, 4):
        with (FOLDER / f"flat{protocol}.pdparams").open("wb") as stream:
            pickle.dump({**flat, "StructuredToParameterName@@": dict.fromkeys(flat, "x")}, stream, protocol)
    with (FOLDER / "nested.pdparams").open("wb") as stream:
        nested = {"epoch": 3, "generator": {name: PaddleTensor(array) for name, array in flat.items()}}
        pickle.dump(nested, stream, 4)


if __name__ == "__main__":
    main()
