"""Print the lines of every file and the longest functions; fail if something outgrows its budget.

The engine is read in an evening; a file is one idea; a function fits on half a screen.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "tinygrad_rnn"
ENGINE = 1000  # lines of engine/, with docstrings
FILE = 350  # lines of a file, with docstrings
FUNCTION = 31  # lines of a function's body, without its docstring


def functions(path: Path) -> list[tuple[int, str]]:
    """`(lines, "file name")` of every function's body, its docstring not counted."""
    found = []
    for f in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) and f.end_lineno:
            signature_and_doc = f.body[0].end_lineno if ast.get_docstring(f) else f.body[0].lineno - 1
            found.append((f.end_lineno - (signature_and_doc or 0), f"{name_of(path)} {f.name}"))
    return found


def name_of(path: Path) -> str:
    """The path within the package."""
    return path.relative_to(PACKAGE).as_posix()


def main() -> str | None:
    """Print the report; the message of what is too long."""
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in sorted(PACKAGE.rglob("*.py"))}
    for path, n in lines.items():
        print(f"{n:6,}  {name_of(path)}")
    print(f"{sum(lines.values()):6,}  in all\n\nlongest functions, without their docstrings")
    longest = sorted((f for path in lines for f in functions(path)), reverse=True)
    for n, name in longest[:15]:
        print(f"{n:6,}  {name}")
    engine = sum(n for path, n in lines.items() if name_of(path).startswith("engine/"))
    print(f"\nengine: {engine:,} lines of at most {ENGINE:,}")
    too_long = [f"engine/ ({engine:,} lines)"] * (engine > ENGINE)
    too_long += [f"{name_of(path)} ({n})" for path, n in lines.items() if n > FILE]
    too_long += [f"{name} ({n})" for n, name in longest if n > FUNCTION]
    return f"too long: {', '.join(too_long)}" if too_long else None


if __name__ == "__main__":
    sys.exit(main())
