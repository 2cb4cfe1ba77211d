"""The README in both languages: the same commands and pictures, and tables that follow registry and cards."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("README.md", "README_CN.md")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(text: str) -> set[str]:
    """Return the lines of all shell blocks without their comments."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL))
    lines = (re.sub(r"\s+#.*", "", line).strip() for line in blocks.splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def test_the_tables_of_networks_follow_the_registry_and_the_cards():
    command = [sys.executable, str(ROOT / "benchmarks" / "model_zoo.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def python_blocks(text: str) -> list[str]:
    """Return the Python examples without their comments."""
    return [re.sub(r"\s+#.*", "", block) for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)]


def command_table(text: str) -> list[tuple[str, ...]]:
    """Return the words in code style of each row of the table of commands; languages list the rest differently."""
    rows = re.findall(r"^\|[^|]*\| `mindrestore \w+` \|.*\|$", text, flags=re.MULTILINE)
    return [tuple(re.findall(r"`([^`]+)`", row)) for row in rows]


def test_both_languages_show_the_same_commands():
    """The Chinese page also has a training on ModelArts, which `docs/cloud.md` has in English."""
    english, chinese = (commands(text_of(name)) for name in LANGUAGES)
    assert english - chinese == set()
    assert chinese - english - commands(text_of("docs/cloud.md")) == set()
    assert len(english) >= 40


def test_both_languages_show_the_same_table_of_commands_and_python():
    tables = [command_table(text_of(name)) for name in LANGUAGES]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 14
    examples = [python_blocks(text_of(name)) for name in LANGUAGES]
    assert examples[0] == examples[1]
    assert len(examples[0]) == 1


def test_both_languages_show_the_same_picture_and_numbers():
    english, chinese = (set(re.findall(r"!\[.*?\]\((.*?)\)", text_of(name))) for name in LANGUAGES)
    assert chinese == english
    scores = [re.findall(r"\d+\.\d+ / 0?\.\d+", text_of(name)) for name in LANGUAGES]
    assert scores[0] == scores[1]
    assert len(scores[0]) >= 12
    measured = [set(re.findall(r"\d+\.\d+", text_of(name))) for name in LANGUAGES]
    assert measured[0] == measured[1]


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_link_of_a_readme_leads_to_a_file(name):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text_of(name))
    assert [link for link in links if not (ROOT / link).exists()] == []
