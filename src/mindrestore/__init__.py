"""MindRestore: haze, rain, blur and noise out of photographs, with MindSpore.

Importing the package defines names and nothing else; MindSpore is loaded when the first of them is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mindrestore.version import __version__ as __version__

if TYPE_CHECKING:
    from mindrestore.api import evaluate, export, restore, train
    from mindrestore.errors import MindRestoreError
    from mindrestore.inference.options import Options
    from mindrestore.inference.restorer import Restorer
    from mindrestore.models.registry import list_models, model_spec
    from mindrestore.published.predictor import MPRPredictor
    from mindrestore.recipes.load import list_recipes, load_recipe
    from mindrestore.weights.convert import load_weights, save_weights
    from mindrestore.weights.create import create_model

__all__ = [
    "MPRPredictor",
    "MindRestoreError",
    "Options",
    "Restorer",
    "create_model",
    "evaluate",
    "export",
    "list_models",
    "list_recipes",
    "load_recipe",
    "load_weights",
    "model_spec",
    "restore",
    "save_weights",
    "train",
]

_HOMES = {
    "MPRPredictor": "mindrestore.published.predictor",
    "MindRestoreError": "mindrestore.errors",
    "Options": "mindrestore.inference.options",
    "Restorer": "mindrestore.inference.restorer",
    "create_model": "mindrestore.weights.create",
    "evaluate": "mindrestore.api",
    "export": "mindrestore.api",
    "list_models": "mindrestore.models.registry",
    "list_recipes": "mindrestore.recipes.load",
    "load_recipe": "mindrestore.recipes.load",
    "load_weights": "mindrestore.weights.convert",
    "model_spec": "mindrestore.models.registry",
    "restore": "mindrestore.api",
    "save_weights": "mindrestore.weights.convert",
    "train": "mindrestore.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mindrestore' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
