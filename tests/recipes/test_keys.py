"""The page of recipe keys is what the schema says, and every number of a recipe has a range."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mindrestore.cli.main import main
from mindrestore.models.hyper import ModelError, check_hyper
from mindrestore.models.registry import hyper_parameters, list_models
from mindrestore.recipes.describe import recipe_keys
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import RecipeError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
KEYS = {key.name: key for key in recipe_keys()}


def test_the_page_is_what_the_command_prints(capsys):
    assert main(["recipes", "--keys"]) == 0
    shown = re.search("<!-- keys: begin -->\n(.*)<!-- keys: end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown.group(1) == capsys.readouterr().out


def test_rows_say_what_the_schema_says():
    assert KEYS["optim.lr"] == ("optim.lr", "number", "`0.0001`", "> 0 and ≤ 10", "learning rate")
    assert KEYS["train.seed"].allowed == "≥ 0 and ≤ 4,294,967,295"
    assert KEYS["data.workers"][2:] == (
        "`null`",
        "≥ 0 and ≤ 1,024, or null",
        "per process; null: its share of the cores, at most 8",
    )
    assert KEYS["optim.name"].allowed == "`adam`, `adamw`"
    assert KEYS["data.mix[].gamma"].kind == "list of numbers"
    assert KEYS["loss.terms.contrastive.negatives"].allowed == "≥ 1 and ≤ 64"


def test_every_key_has_a_meaning():
    assert [name for name, key in KEYS.items() if not key.meaning] == []


@pytest.mark.parametrize("key", [key for key in KEYS if "number" in KEYS[key].kind and "[]" not in key])
def test_every_number_has_a_range_on_both_sides(key):
    assert re.fullmatch(r"[≥>] [-\d.,]+ and [≤<] [-\d.,]+(, or null)?", KEYS[key].allowed)
    several = KEYS[key].kind.startswith("list")
    for number in ("1e400", "-1e400", "nan", "-1e30", "1e30"):
        value = f"[{number}]" if several else number
        with pytest.raises(RecipeError, match=re.escape(key)):
            load_recipe("quickstart", [f"{key}={value}"])


@pytest.mark.parametrize("model", list_models())
def test_every_hyper_parameter_has_a_range(model):
    for key, usual in hyper_parameters(model).items():
        for wrong in (10**9, float("nan"), -1, "abc", float("inf")):
            fits_text = isinstance(usual, str) and isinstance(wrong, str)
            if fits_text:  # names are judged by the network
                continue
            value = [wrong] * len(usual) if isinstance(usual, (tuple, list)) else wrong
            with pytest.raises(ModelError, match=f"model {model}: {key}="):
                check_hyper(model, {key: value}, hyper_parameters(model))
