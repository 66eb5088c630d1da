"""The project's folder, its addresses and its signatures. Imports no framework by itself.

`resolve_address` runs user code and is called in a worker child only; everything else is for the
driver too.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import site
import sysconfig
import traceback
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from automl.errors import Fault, InputError
from automl.root import MARK
from automl.root import find_root as find_root
from automl.signatures import offered as offered
from automl.signatures import signature as signature
from automl.signatures import signature_faults as signature_faults
from automl.signatures import taken as taken
from automl.sources import code_hash as code_hash
from automl.urls import resolve_url as resolve_url
from automl.values import pythons_own
from automl.words import near, unknown


def resolve_address(address: str, root: str | Path) -> Any:
    """The object at `package.module:Name`. Imports user code: for worker children only.

    Args:
        address: as the search file has it.
        root: the project's; it must be on `sys.path`.

    Raises:
        InputError: the module or the name does not exist (with the near miss), or importing it
            failed (with the error and its line in the user's code); or the module is neither below the
            root nor of an installed package.
    """
    if fault := stranger(address, Path(root)):
        raise InputError(fault)
    name, _, attribute = address.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(address, error) from error
        raise InputError(_no_module(address, error.name)) from error
    except Exception as error:
        raise _failed(address, error) from error
    if not hasattr(module, attribute):
        own = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        mine = [key for key in own if getattr(vars(module)[key], "__module__", None) == name] or own
        what, mend = unknown(attribute, mine, f"module {name} has no {attribute}")
        raise InputError(Fault(address, what, mend))
    found = getattr(module, attribute)
    if not callable(found):
        what = f"{attribute} is {type(found).__name__}, neither a class nor a function"
        raise InputError(Fault(address, what, "Name a class or a function"))
    return found


def stranger(address: str, root: Path) -> Fault | None:
    """Why an address names nothing of the project or of an installed package. Imports nothing.

    Args:
        address: `package.module:Name`.
        root: the project's.
    """
    if fault := pythons_own(address, address):
        return fault
    top = address.partition(":")[0].partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return None  # what there is instead is told by whoever imports it
    places = [Path(each) for each in (spec.submodule_search_locations or [spec.origin or ""])]
    homes = [root.absolute(), root.resolve(), *_installed()]
    if any(place.is_relative_to(home) for place in places for home in homes):
        return None
    if top in metadata.packages_distributions():
        return None
    what = f"module {top} lies at {places[0]}, outside of the project {root}"
    return Fault(address, what, "Move it into the project, or install it as a package")


@cache
def _installed() -> list[Path]:
    """Where packages are installed, and the folders of those that are installed in place."""
    paths = sysconfig.get_paths()
    sites = {paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()}
    found = [Path(each) for each in sites]
    for folder in list(found):
        for listed in sorted(folder.glob("*.pth")):
            lines = (line.strip() for line in listed.read_text(errors="replace").splitlines())
            found += [folder / line for line in lines if line and not line.startswith(("#", "import"))]
    return found


def _failed(address: str, error: BaseException) -> InputError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    place = next((f for f in reversed(frames) if f.filename != __file__), None)
    lines = str(error).strip().splitlines() or [""]
    at = f" ({Path(place.filename).name}:{place.lineno})" if place else ""
    what = f"importing it fails: {type(error).__name__}: {lines[0]}{at}"
    return InputError(Fault(address, what, "Mend the module"))


def _no_module(address: str, missing: str) -> Fault:
    parent, _, last = missing.rpartition(".")
    try:
        paths = importlib.import_module(parent).__path__ if parent else None
    except (ImportError, AttributeError):
        return Fault(address, f"{parent} is no package, so that there is no {missing}", "Look at the address")
    names = [module.name for module in pkgutil.iter_modules(paths)] if parent else [MARK]
    guess = near(last, names)
    mend = f"Did you mean {parent + '.' if parent else ''}{guess}?" if guess else ""
    if not mend:
        listed = ", ".join(sorted(names)[:10])
        mend = f"{parent} has: {listed}" if parent else "Look at the address, and at the project's root"
    return Fault(address, f"there is no module {missing}", mend)
