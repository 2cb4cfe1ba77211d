"""Hook of MkDocs (mkdocs.yml): a page of the site from the cells and stored results of the notebook; nothing is run."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOK = "first_steps.ipynb"
PAGE = "first_steps.md"
PICTURES = {"image/jpeg": "jpg", "image/png": "png"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and its pictures."""
    text, pictures = render(json.loads((Path(config.docs_dir) / NOTEBOOK).read_text(encoding="utf-8")))
    files.append(File.generated(config, PAGE, content=text))
    for name, data in pictures.items():
        files.append(File.generated(config, name, content=data))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let other pages lead to the page in place of the file, which browsers show as JSON."""
    return markdown if page.file.src_uri == PAGE else markdown.replace(f"]({NOTEBOOK})", f"]({PAGE})")


def render(notebook: Mapping[str, Any]) -> tuple[str, dict[str, bytes]]:
    """Write the page.

    Args:
        notebook: As its JSON has it.

    Returns:
        Markdown, and name -> data of the pictures.
    """
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream":
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
            for kind in PICTURES.keys() & output.get("data", {}).keys():
                name = f"images/notebook_{len(pictures) + 1}.{PICTURES[kind]}"
                pictures[name] = base64.b64decode("".join(output["data"][kind]))
                parts.append(f"![result of the cell above]({name})")
    parts.append(
        f"These are the cells of [a notebook]({NOTEBOOK}) with their results; download it to run them yourself."
    )
    return "\n\n".join(parts) + "\n", pictures
