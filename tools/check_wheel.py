"""Compare the installed package with the source tree, and see what importing it brings along.

Usage: check_wheel.py SOURCE, from a folder in which the source cannot be imported.
"""

import pkgutil
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

EXTRAS = {"hypothesis", "matplotlib", "pytest"}  # what a module may ask for, but the package may not


def files(package: Path) -> set[str]:
    """List the files that a package has to contain: its modules, stubs and the marker of PEP 561."""
    return {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.suffix in (".py", ".pyi") or path.name == "py.typed"
    }


def main(source: Path) -> None:
    """Exit with a message if the installed package is incomplete or imports more than NumPy."""
    import numpy  # noqa: F401

    before = set(sys.modules)
    package = import_module(source.name)
    found = {name for name in set(sys.modules) - before if getattr(sys.modules[name], "__spec__", None)}
    brought = {name.partition(".")[0] for name in found}  # without Cython's modules, which come from nowhere
    strangers = brought - sys.stdlib_module_names - {source.name, "numpy"}
    installed = Path(str(package.__file__)).parent
    if installed == source:
        sys.exit(f"{source} itself was imported, not an installed copy")
    if missing := files(source) - files(installed):
        sys.exit(f"the wheel lacks {sorted(missing)}")
    if strangers:
        sys.exit(f"import {source.name} imports {sorted(strangers)}")
    modules = [m.name for m in pkgutil.walk_packages(package.__path__, f"{source.name}.")]
    for name in modules:
        try:
            import_module(name)
        except ImportError as error:
            if getattr(error.__cause__ or error, "name", None) not in EXTRAS:
                raise
            print(f"{name} needs an extra: {error}")
    print(f"{source.name} {version(source.name)}: {len(modules)} modules, no file missing")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
