"""`python -m mindrestore` is the `mindrestore` command."""

from __future__ import annotations

from mindrestore.cli.main import run

if __name__ == "__main__":
    run()
