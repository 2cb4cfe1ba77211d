"""The `mindrestore` command: find the sub-command, run it, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from types import FrameType, MappingProxyType
from typing import Any, NoReturn, TextIO

from mindrestore.cli import (
    compare,
    convert,
    copy,
    data,
    doctor,
    explain,
    export,
    launch,
    models,
    recipes,
    restore,
    serve,
    train,
    weights,
)
from mindrestore.cli import eval as evaluate
from mindrestore.cli.arguments import nonempty_path
from mindrestore.cli.source import choose_cards
from mindrestore.errors import MindRestoreError, Notice, closest, shown
from mindrestore.launch.cuda import enter_gpu_environment
from mindrestore.published.translate import published_flags, translate
from mindrestore.version import __version__

COMMANDS = (
    train,
    evaluate,
    compare,
    restore,
    serve,
    export,
    launch,
    convert,
    weights,
    data,
    copy,
    recipes,
    models,
    explain,
    doctor,
)

USAGE_ERROR = 2
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but tabs and ends of lines
INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Parser(argparse.ArgumentParser):
    """Parse strictly: no abbreviated flags, and errors look like every other error of the command."""

    commands: Mapping[str, Parser] = MappingProxyType({})

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Print one line that starts with `error:`, and leave with the code of a usage error."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)$", message)
        near = choice and closest(choice[1], re.findall(r"[\w-]+", choice[2]))
        message += f"; did you mean {near!r}?" if near else ""
        self.exit(USAGE_ERROR, f"error: {shown(message)}\nSee: {self.prog} --help\n")


def build_parser() -> Parser:
    """Build the parser of all sub-commands; MindSpore is not imported for it."""
    parser = Parser(
        prog="mindrestore",
        description="Remove haze, rain, blur and noise from photographs.",
        epilog="first: mindrestore restore photo.jpg --task dehaze     every command has --help",
    )
    parser.add_argument("--version", action="version", version=f"mindrestore {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    for subparser in subparsers.choices.values():
        subparser.set_defaults(parser=subparser)
    parser.commands = subparsers.choices
    parser.commands["explain"].set_defaults(flags={name: own_flags(each) for name, each in parser.commands.items()})
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: The words after the program's name; `None` takes those of this process.

    Returns:
        The exit code: 0 for success, 2 for an error that the user can mend, 130 after Ctrl-C, or what the
        sub-command returns (`data check` and `restore` give 1 when some files are wrong).
    """
    os.environ.setdefault("GLOG_v", "4")  # what MindSpore logs as an error comes as an exception, too, or is none
    try:
        with _visible_output():
            args = parse(build_parser(), sys.argv[1:] if argv is None else list(argv))
            with _own_warnings_only():
                code = args.run(args)
            sys.stdout.flush()  # here, where a closed pipe is understood, not when the interpreter ends
        return code
    except SystemExit as stop:  # argparse leaves this way after --help and after usage errors
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except MindRestoreError as error:
        code = getattr(error, "exit_code", USAGE_ERROR)
        print(error if code == INTERRUPTED else f"error: {error}", file=sys.stderr)
        return code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mindspore":
            raise
        print(
            f"error: this needs MindSpore, which cannot be imported ({error}); pip install mindspore", file=sys.stderr
        )
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `mindrestore recipes | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print("error: out of memory; make the images or batches smaller, or close other programs", file=sys.stderr)
        return USAGE_ERROR
    except OSError as error:  # a full disk, a folder without write permission: the user's to mend, like the above
        print(f"error: {shown(error.filename or 'the system says')}: {error.strerror or error}", file=sys.stderr)
        return USAGE_ERROR


@contextmanager
def _own_warnings_only() -> Iterator[None]:
    """Show our own notices in one line each, and nothing that libraries warn their programmers of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", Notice)
        warnings.showwarning = lambda message, *_, **__: print(f"note: {shown(message)}", file=sys.stderr)
        yield


def parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command line, translated if it is a published one, whose `key=value` words may stand anywhere."""
    argv = list(argv)
    if not argv:
        parser.print_help(sys.stderr)
        parser.exit(USAGE_ERROR)
    command = parser.commands.get(argv[0])
    if command:
        made = translate(argv, own_flags(command))
        for note in made.notes:
            print(f"note: {shown(note)}", file=sys.stderr)
        argv = made.argv
    args, rest = parser.parse_known_args(argv)
    overrides = getattr(args, "overrides", None)
    if overrides is not None:  # argparse takes one run of positional words and returns the later ones
        overrides += [word for word in rest if is_override(word)]
        rest = [word for word in rest if not is_override(word)]
    inputs = getattr(args, "inputs", None)
    if inputs is not None:
        inputs += [nonempty_path(word) for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
    if rest:
        hint = f"; the file of this name is ./{rest[0]}" if os.path.lexists(rest[0]) else _closest(rest[0], args.parser)
        args.parser.error(f"unknown argument {rest[0]!r}{hint}")
    choose_cards(args)
    return args


def own_flags(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Return the flags of a parser and how many values each takes, as `nargs` has it."""
    return {flag: action.nargs for action in parser._actions for flag in action.option_strings}


def is_override(word: str) -> bool:
    """Return whether a word reads `key=value`."""
    return "=" in word and not word.startswith("-")


def _closest(word: str, parser: argparse.ArgumentParser) -> str:
    near = closest(word.split("=")[0], [*own_flags(parser), *published_flags(parser.prog.split()[-1])])
    return f"; did you mean {near!r}?" if near else ""


class _Visible:
    """A stream that shows control characters, such as ESC in the name of a folder, which a terminal would obey."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(_CONTROL.sub(lambda found: ascii(found[0])[1:-1], text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _visible_output() -> Iterator[None]:
    """Let every name be printed: one that is not UTF-8, or under LC_ALL=C one outside ASCII, must not end the work."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # not the error stream: bars move the cursor there, and what names files is escaped in `errors.py`
    with redirect_stdout(_Visible(sys.stdout)):
        yield


def _open_streams() -> None:
    """Open the three usual streams where the process was started without them.

    Else a file that is opened next has the number of one of them, and gets what libraries print there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _interruptible(argv: Sequence[str] | None) -> int:
    """Run a command line; Ctrl-C ends it without a word, also where a library makes another error of it as it loads."""
    heard = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored, as behind nohup
        signal.signal(signal.SIGINT, note)
    show = sys.excepthook
    sys.excepthook = lambda kind, *rest: None if issubclass(kind, KeyboardInterrupt) else show(kind, *rest)
    try:
        return main(argv)
    except Exception:
        if heard:
            return INTERRUPTED
        raise


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line of this process and exit with its code; who interrupted it does not wait for libraries."""
    enter_gpu_environment()
    _open_streams()
    code = _interruptible(argv)
    if code == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # MindSpore's own end takes up to ten seconds
    sys.exit(code)
