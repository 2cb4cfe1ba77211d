"""What a recipe may say has bounds: numbers in the schema, hyper-parameters in the networks, YAML before it unpacks."""

from __future__ import annotations

import dataclasses
import time
import typing
from pathlib import Path

import pytest

from mindrestore.cli.main import build_parser, main, parse
from mindrestore.data.locate import DatasetError
from mindrestore.data.pairing import Pair
from mindrestore.data.pipeline import TrainLoader
from mindrestore.models.hyper import ModelError
from mindrestore.models.registry import full_hyper, list_models, model_spec
from mindrestore.recipes import schema, terms
from mindrestore.recipes.load import load_recipe
from mindrestore.recipes.schema import DataConfig, RecipeError


def numeric_fields():
    for module in (schema, terms):
        for kind in vars(module).values():
            if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
                continue
            hints = typing.get_type_hints(kind)
            for field in dataclasses.fields(kind):
                parts = {hints[field.name], *typing.get_args(hints[field.name])}
                if parts & {int, float}:
                    yield f"{kind.__name__}.{field.name}", field.metadata


def test_every_number_has_bounds_on_both_sides():
    found = dict(numeric_fields())
    assert len(found) > 55
    open_ended = [
        name
        for name, rules in found.items()
        if not rules
        or (rules["minimum"] is None and rules["above"] is None)
        or (rules["maximum"] is None and rules["below"] is None)
    ]
    assert open_ended == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lr=1e400", "optim.lr: inf is out of range; use a number above 0 and at most 10"),
        ("optim.lr=.nan", "optim.lr: nan is out of range; use a number above 0 and at most 10"),
        ("optim.lr=1" + "0" * 390, "optim.lr: inf is out of range"),
        ("optim.lr=" + "9" * 5000, "a number of more than 400 digits"),
        (
            "data.patch_size=1e9",
            "data.patch_size: 1000000000 is out of range; use a number of at least 1 and at most 8192",
        ),
        ("train.seed=1e30", "train.seed: 1e+30 is out of range; use a number of at least 0 and at most 4294967295"),
        ("data.repeat=1e12", "data.repeat: 1e+12 is out of range; use a number of at least 1 and at most 10000"),
        ("data.noise_range=[0, 1e99]", "data.noise_range[1]: 1e+99 is out of range"),
        ("optim.lr_factors={a: -1}", "optim.lr_factors.a: -1 is out of range; use a number above 0 and at most 1000"),
        ("model.hyper.channels=[1, [.inf]]", "model.hyper.channels[1][0]: inf is out of range"),
        ("loss.terms.l1.weight=.inf", "loss.terms.l1.weight: inf is out of range"),
        ("then={optim: {lr: 99}}", "optim.lr: 99 is out of range"),
        ("data.patch_size=2020-13-45", "month must be in 1..12"),
        ("data.patch_size=&a [*a]", "a value that contains itself"),
        ("data.patch_size=" + "[" * 3000, "more than 20 deep"),
        ("model.weights=\0", "special characters are not allowed"),
        ("model.weights=!!python/object:os.system x", "could not determine a constructor"),
    ],
)
def test_overrides_out_of_range_name_key_value_and_range(override, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("quickstart", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list_models())
def test_published_hyper_parameters_are_within_their_ranges(name):
    published = model_spec(name).hyper
    assert full_hyper(name, published) == published


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("abc", "model aecrnet: channels='abc'; use a whole number from 1 to 512"),
        (0, "model aecrnet: channels=0; use a whole number from 1 to 512"),
        (-1, "model aecrnet: channels=-1; use a whole number from 1 to 512"),
        (1_000_000, "model aecrnet: channels=1000000; use a whole number from 1 to 512"),
        (1.5, "model aecrnet: channels=1.5; use a whole number from 1 to 512"),
        (True, "model aecrnet: channels=True; use a whole number from 1 to 512"),
        (None, "model aecrnet: channels=None; use a whole number from 1 to 512"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(value, message):
    with pytest.raises(ModelError) as caught:
        full_hyper("aecrnet", {"channels": value})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "hyper", "message"),
    [
        ("dehazeformer_t", {"widths": [1, 2]}, "widths=[1, 2]; use 3 numbers, such as [24, 48, 96]"),
        ("dehazeformer_t", {"widths": [24, 48, 10**9]}, "widths=1000000000; use a whole number from 1 to 768"),
        ("dehazeformer_t", {"widths": "abc"}, "widths='abc'; use 3 numbers"),
        ("mpilnet", {"share_encoder": 1}, "share_encoder=1; use true or false"),
        ("aecrnet", {"init_gain": float("nan")}, "init_gain=nan; use a number from 0 to 1000"),
    ],
)
def test_other_kinds_of_hyper_parameters(name, hyper, message):
    with pytest.raises(ModelError) as caught:
        full_hyper(name, hyper)
    assert message in str(caught.value)


def test_training_refuses_them_before_it_looks_for_data(capsys):
    assert main(["train", "--recipe", "aecrnet/its", "model.hyper.channels=abc", "data.root=/nowhere"]) == 2
    assert "model aecrnet: channels='abc'; use a whole number from 1 to 512" in capsys.readouterr().err


def test_an_epoch_of_too_many_samples_is_refused():
    pairs = [Pair("a", Path("a.png"), Path("b.png"))] * 1000
    with pytest.raises(DatasetError, match=r"data\.repeat=10000: 1000 pairs would make 10,000,000 .* at most 5000"):
        TrainLoader(pairs, config=DataConfig(repeat=10_000), batch_size=1, seed=0)


TOO_MUCH = {
    "deep": "model: " + "[" * 3000 + "]" * 3000,
    "huge": "name: " + "x" * 300_000,
    "aliases": "a: &a0 [x, x]\n" + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
    "many": "a: [" + "1, " * 20_000 + "]",
    "digits": "train: {seed: " + "9" * 100_000 + "}",
    "zeros": "\0" * 100,
    "itself": "model: &m {hyper: *m}",
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_yaml_that_is_too_much_ends_in_one_line(tmp_path, kind):
    path = tmp_path / "r.yaml"
    path.write_text(TOO_MUCH[kind])
    start = time.perf_counter()
    with pytest.raises(RecipeError, match=r"recipe .*r\.yaml cannot be read: "):
        load_recipe(path)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_recipes_in_other_encodings_are_read(tmp_path, encoding):
    path = tmp_path / "r.yaml"
    path.write_text("inherit: quickstart\noutput: {name: Dunst über See}\n", encoding=encoding)
    assert load_recipe(path).output.name == "Dunst über See"


@pytest.mark.parametrize("where", ["behind", "before", "between"])
def test_an_override_behind_a_list_flag_is_an_override(where):
    sizes, key = ["--epoch-chg", "4", "8", "12"], "optim.lr=1e-3"
    words = {"behind": [*sizes, key], "before": [key, *sizes], "between": [*sizes, key, "data.workers=1"]}
    args = parse(build_parser(), ["train", "--recipe", "dsrir/noise", *words[where]])
    assert {key, "train.progressive.epoch_chg=[4, 8, 12]"} <= set(args.overrides)
