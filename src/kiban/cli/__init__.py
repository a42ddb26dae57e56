"""The command `kiban`: one file of this folder is one command group; each has `add(parsers)` and `run(args, settings)`.

The environment is read here, once. Errors of kiban are printed as they are, with their exit code; Ctrl-C ends with 130 and loses nothing.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from kiban import __version__
from kiban.base.errors import KibanError, ManyErrors
from kiban.base.settings import read_settings

YOUNG = 50_000  # new objects between two collections of garbage: a plan has millions that stay, and the 700 of the interpreter cost it a fifth of its time


def command_names() -> list[str]:
    """The command groups, one per module of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


class Parser(argparse.ArgumentParser):
    """Where an option is not known, the word behind it is taken for a tool: the complaint is about the option then."""

    words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Remember the words for `error`."""
        self.words = sys.argv[1:] if args is None else args
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        usage = self.format_usage()
        for word in self.words if "invalid choice" in message else ():
            if repr(word) in message:
                break
            if word.startswith("--") and len(word) > 2 and word.partition("=")[0] not in usage:
                message = f"unrecognized arguments: {word}"
                break
        super().error(message)


def build_parser(only: str = "") -> argparse.ArgumentParser:
    """The parser of all commands; also what the reference page of the commands is made from. only: the one that was named; others then cost nothing."""
    parser = Parser(prog="kiban", description="kiban 基盤: 地域課題の一文から、設計・費用・証明つきの計画へ / from one sentence to a designed and costed plan")
    parser.add_argument("--version", action="version", version=f"kiban {__version__}")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in [only] if only in command_names() else command_names():
        importlib.import_module(f"kiban.cli.{name}").add(parsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = argparse.Namespace(json=False)
    gc.set_threshold(YOUNG)
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        args = build_parser(words[0] if words else "").parse_args(words)
        settings = read_settings(os.environ, Path.home())
        code: int = importlib.import_module(f"kiban.cli.{args.command}").run(args, settings)
    except KibanError as error:
        if getattr(args, "json", False):
            errors = [str(problem) for problem in error.problems] if isinstance(error, ManyErrors) else [str(error)]
            print(json.dumps({"ok": False, "error": str(error), "errors": errors, "status": error.status}, ensure_ascii=False))
        print(f"kiban: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        # A full disk, a closed pipe, a folder without the right to write: the system's own words say it best.
        print(f"kiban: {error.filename or 'file'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kiban: 中断しました / stopped", file=sys.stderr)
        return 130
    return code
