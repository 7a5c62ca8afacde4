"""Print the lines of every file and the longest functions; fail if the engine outgrows its budget.

The budget is a promise of the design: the engine and the operations are read in an evening.
"""

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "tinygrad_rnn"
BUDGET = 1800
ENGINE = ("tensor.py", "autograd", "ops")


def functions(path: Path) -> list[tuple[int, str]]:
    """``(lines, "file:line name")`` of every function, its docstring not counted."""
    found = []
    for f in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) and f.end_lineno:
            doc = f.body[0]
            described = (doc.end_lineno or 0) - doc.lineno + 1 if ast.get_docstring(f) else 0
            place = f"{path.relative_to(PACKAGE.parent)}:{f.lineno} {f.name}"
            found.append((f.end_lineno - f.lineno + 1 - described, place))
    return found


def main() -> int:
    """Print the report; 1 if the engine is over its budget."""
    files = sorted(PACKAGE.rglob("*.py"))
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in files}
    for path, n in lines.items():
        print(f"{n:6,}  {path.relative_to(PACKAGE.parent)}")
    print(f"{sum(lines.values()):6,}  in all\n\nlongest functions, without their docstrings")
    for n, place in sorted((f for path in files for f in functions(path)), reverse=True)[:15]:
        print(f"{n:6,}  {place}")
    engine = sum(n for path, n in lines.items() if path.relative_to(PACKAGE).parts[0] in ENGINE)
    print(f"\nengine and operations: {engine:,} lines of at most {BUDGET:,}")
    return int(engine > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
