"""Every command of the README runs, on tiny data; every other command of the documentation is understood."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import urllib.request

import pytest
from playground import ROOT, write_images, write_published, write_vgg, write_weights

from mindrestore.cli.main import build_parser, main, parse
from mindrestore.cli.train import choose_recipe
from mindrestore.recipes.load import load_recipe
from small import overrides_of

VERBS = {"train.py": "train", "eval.py": "eval", "export.py": "export", "haze_data.py": "data"}
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("README*.md")])
LIGHT = ["train.epochs=null", "train.max_steps=1", "train.mode=pynative", "train.val_every=0", "train.batch_size=1"]
LIGHT += ["data.workers=1", "data.patch_size=32"]
STAGES = "train.progressive={patch_sizes: [32, 32], batch_sizes: [1, 1], epoch_chg: [1, 2]}"


def commands_of(text: str) -> list[str]:
    """Return the lines of all shell blocks without their comments; a line that goes on is one."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)).replace("\\\n", " ")
    lines = (re.sub(r"\s+#.*|^#.*", "", line).strip() for line in blocks.splitlines())
    return [line for line in dict.fromkeys(lines) if line]


def text_of(page) -> str:
    return page.read_text(encoding="utf-8")


README = list(
    dict.fromkeys(line for page in PAGES if page.name.startswith("README") for line in commands_of(text_of(page)))
)


class Example:
    """How a command is run: what runs before it, words that make it small, what it has to write and to print."""

    def __init__(
        self, *more: str, before: tuple[str, ...] = (), writes: tuple[str, ...] = (), prints: str = ""
    ) -> None:
        self.more, self.before, self.writes, self.prints = more, before, writes, prints


def training(name: str, network: str, *more: str, before: tuple = ()) -> Example:
    """Return the example of a training: one step of the small form of its network."""
    words = [*LIGHT, *overrides_of(network), *more, f"output.name={name}"]
    return Example(*words, before=before, writes=(f"runs/{name}/last.ckpt", f"runs/{name}/log.txt"))


SCENES = ("data scenes my_scenes --count 1 --size 40x32 --overwrite",)
# Commands of ours, by a pattern that only they have. Those of seconds run with every test, the others are slow.
QUICK = {
    r"restore samples/mountains.jpg": Example(writes=("restored/mountains.jpg", "restored/report/index.html")),
    r"restore photos --task dehaze --out clean": Example(writes=("clean/a.png", "clean/report/index.html")),
    r"restore photos --weights runs/mine": Example("--overwrite", writes=("clean/b.png",)),
    r"mindrestore doctor": Example(prints="inference"),
    r"haze_data.py check my_data": Example(prints="nothing wrong"),
    r"eval.py runs/mine$": Example(writes=("runs/mine/report/index.html", "runs/mine/report/scores.csv")),
    r"eval.py --model aecrnet": Example(prints="protocol aecr:"),
    r"eval.py runs/mprnet_deraining": Example(prints="protocol mpr-derain"),
    r"eval.py runs/dsrir_all_in_one": Example("--max-images", "1", prints="BSD68-50"),
    r"mindrestore compare": Example(before=("eval runs/mine", "eval runs/other"), writes=("comparison/index.html",)),
    r"mindrestore recipes$": Example(prints="quickstart_derain"),
    r"mindrestore recipes aecrnet/its": Example(prints="patch_size: 240"),
    r"haze_data.py scenes": Example("--size", "40x32", "--count", "2", writes=("my_scenes/clear", "my_scenes/depth")),
    r"synth my_scenes/clear my_hazy": Example(
        before=("data scenes my_scenes --count 1 --size 40x32 --overwrite",), writes=("my_hazy/hazy",)
    ),
    r"synth my_scenes/clear my_rainy": Example(
        before=("data scenes my_scenes --count 1 --size 40x32 --overwrite",), writes=("my_rainy",)
    ),
    r"haze_data.py list join": Example("--overwrite", writes=("data/train_all_in_one.csv",)),
    r"mindrestore explain": Example(prints="mindrestore train --recipe crossdehaze/nid_stage1"),
}
SLOW = {
    r"train.py --recipe quickstart": training("trained", "aecrnet"),
    r"train.py --recipe aecrnet/its": training("its", "aecrnet"),
    r"train.py --recipe mprnet/deraining": training("rain", "mprnet_deraining"),
    r"train.py --recipe dsrir/all_in_one": training(
        "all", "dsrir", STAGES, before=("data list join --root data --overwrite",)
    ),
    r"train.py --recipe mpilnet/nh_haze": training("nh", "mpilnet", "data.patch_size=64", "loss.terms.ms_ssim=null"),
    r"train.py --dir_data /data --filename first": training("flags", "aecrnet", "loss.terms.contrastive=null"),
    r"export.py runs/mine$": Example(writes=("runs/mine/model.mindir",)),
    r"export.py runs/mine --format onnx": Example(writes=("runs/mine/model.onnx",)),
    r"convert model_deraining.pth": Example(writes=("rain.ckpt", "rain.ckpt.json")),
    r"convert runs/mine/best.ckpt --to torch": Example(writes=("mine.pth",)),
}
# Scripts and other programs, on the CPU in place of a card
SCRIPTS = {
    r"bash scripts/test.sh": Example("tests/test_errors.py", "-n", "0"),
    r"bash scripts/run_standalone_train_ascend.sh": training("launched", "aecrnet", "loss.terms.contrastive=null"),
    r"bash scripts/run_eval_ascend.sh": Example(prints="protocol aecr:"),
    r"bash scripts/run_export.sh": Example(writes=("first.mindir",)),
    r"pip install": Example("--dry-run", "--no-deps", "--no-build-isolation"),
}
# Commands that other tests execute: pattern -> file and function
ELSEWHERE = {
    r"bash scripts/demo.sh( rain)?$": ("scripts/test_demo.py", "test_the_demo_goes_from_nothing_to_a_mindir_file"),
    r"bash scripts/demo.sh all": ("scripts/test_demo.py", "test_the_demo_measures_every_task"),
    r"bash scripts/demo.sh cross": ("scripts/test_demo.py", "test_the_demo_of_two_stages"),
    r"mindrestore serve$": ("docs/test_commands.py", "test_the_page_is_served"),
    r"git clone": ("docs/test_commands.py", "test_a_clone_has_the_photograph"),
    r"--modelarts_mode": ("cloud/test_job.py", "test_"),
}


@pytest.fixture(scope="module")
def playground(tmp_path_factory):
    folder = tmp_path_factory.mktemp("playground")
    write_images(folder)
    write_weights(folder)
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    write_published(folder)
    return folder


@pytest.fixture(scope="module")
def playground_with_vgg(playground):
    write_vgg(playground)
    return playground


def argv_of(command: str) -> list[str] | None:
    """Return what our command line gets; None for other programs."""
    words = shlex.split(command)
    if words[0] == "mindrestore":
        return words[1:]
    return [VERBS[words[1]], *words[2:]] if words[0] == "python" and words[1] in VERBS else None


def found(command: str, table: dict):
    return next((entry for pattern, entry in table.items() if re.search(pattern, command)), None)


def local(words: list[str]) -> list[str]:
    """Put the folder data of the playground in the place of /data."""
    return [re.sub(r"(^|=)/data", r"\1data", word) for word in words]


def check(folder, example: Example, out: str) -> None:
    assert example.prints in out
    assert [name for name in example.writes if not (folder / name).exists()] == []


def run_ours(folder, command, example, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for line in example.before:
        assert main(shlex.split(line)) == 0
    assert main(local([*argv_of(command), *example.more])) == 0
    out, err = capsys.readouterr()
    assert "error" not in err
    check(folder, example, out)


def test_every_command_of_the_readmes_is_executed():
    unknown = [line for line in README if not any(found(line, table) for table in (QUICK, SLOW, SCRIPTS, ELSEWHERE))]
    assert unknown == []
    for table in (QUICK, SLOW, SCRIPTS, ELSEWHERE):  # no pattern without a command
        assert [pattern for pattern in table if not any(re.search(pattern, line) for line in README)] == []
    for file, name in ELSEWHERE.values():
        assert f"def {name}" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [line for line in README if found(line, QUICK)])
def test_a_command_of_the_readme(playground, command, monkeypatch, capsys):
    run_ours(playground, command, found(command, QUICK), monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for line in README if found(line, SLOW) and not found(line, ELSEWHERE)])
def test_a_long_command_of_the_readme(playground_with_vgg, command, monkeypatch, capsys):
    run_ours(playground_with_vgg, command, found(command, SLOW), monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for line in README if found(line, SCRIPTS)])
def test_a_script_of_the_readme(playground, command):
    example, words = found(command, SCRIPTS), local(shlex.split(command))
    if words[0] == "bash":
        separated = [] if "--" in words or not example.more or words[1].endswith("test.sh") else ["--"]
        words = ["bash", str(ROOT / words[1]), *words[2:], *separated, *example.more]
        folder = playground
    else:
        words, folder = [sys.executable, "-m", *words, *example.more], ROOT
    settings = {"MINDRESTORE_DEVICE": "CPU", "MINDRESTORE_SKIP_INSTALL": "1", "PYTHON": sys.executable}
    environment = {
        **os.environ,
        **settings,
        "VIRTUAL_ENV": sys.prefix,
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
    }
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    check(folder, example, done.stdout)


def test_a_clone_has_the_photograph(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: the tests of an archive")
    (command,) = (line for line in README if line.startswith("git clone"))
    line = f"{command.replace('ADDRESS', shlex.quote(str(ROOT)))} && ls samples/mountains.jpg"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "samples/mountains.jpg\n"), done.stderr


@pytest.mark.slow
def test_the_page_is_served(playground):
    pytest.importorskip("starlette", reason="pip install 'mindrestore[serve]'")
    words = [sys.executable, "-m", "mindrestore", "serve", "--port", "0"]
    with subprocess.Popen(words, cwd=playground, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = next(found[0] for found in (re.search(r"http://\S+", line) for line in server.stdout) if found)
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.status == 200
                assert "MindRestore" in answer.read().decode("utf-8")
        finally:
            server.terminate()


PARSED = [(page.name, line) for page in PAGES for line in commands_of(text_of(page)) if argv_of(line)]


@pytest.mark.parametrize(("page", "command"), PARSED, ids=[f"{page}: {line[:60]}" for page, line in PARSED])
def test_the_parser_takes_every_command_of_the_documentation(published, page, command, monkeypatch):
    monkeypatch.chdir(published)
    args = parse(build_parser(), argv_of(command))
    if args.command == "train":
        load_recipe(*choose_recipe(args))  # every override is a key of the recipe


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_script_of_the_documentation_is_there(page):
    commands = "\n".join(commands_of(text_of(page)))
    named = re.findall(r"^(?:\w+=\S+ )*(?:bash|python) ((?:scripts|benchmarks|deploy)/\S+|\w+\.py)", commands, re.M)
    assert [name for name in named if not (ROOT / name).is_file()] == []
