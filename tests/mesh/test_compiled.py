"""Borrowed memory is that of a kernel's arguments, which whoever calls it keeps alive."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "real2sam2real"


def lent(text: str) -> Iterator[tuple[str, str, bool]]:
    """Function, array and "is it an argument", for each `borrowed(array)` of a module."""
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        arguments = {each.arg for each in function.args.args}
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "borrowed":
                array = ast.unparse(call.args[0])
                yield function.name, array, array in arguments


def test_kernels_borrow_their_arguments() -> None:
    """Numba frees an array of the kernel's own after its last use, and its last use would be the borrowing."""
    found = [(path.stem, *each) for path in PACKAGE.rglob("*.py") for each in lent(path.read_text())]
    assert len(found) > 20
    assert [each for each in found if not each[-1]] == []


def test_an_array_that_a_kernel_makes_is_seen() -> None:
    assert list(lent("def kernel(a):\n    b = empty(3)\n    c = borrowed(b)\n    a = borrowed(a)\n")) == [
        ("kernel", "b", False),
        ("kernel", "a", True),
    ]
