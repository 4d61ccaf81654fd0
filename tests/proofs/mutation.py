"""Source mutants: every small change of a module that a test should notice, each named so that it is found again.

A mutant is known by module, function, source line, and what became what; never by a line number, which moves. Mutants
exist in memory only (``Loader``), so that no interruption leaves one behind. Must never know which tests run.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_NAMES = {
    "max": "min",
    "min": "max",
    "any": "all",
    "all": "any",
    "argmax": "argmin",
    "argmin": "argmax",
    "maximum": "minimum",
    "minimum": "maximum",
    "union": "intersect",
}
_CHANGED_THEMSELVES = ast.Compare | ast.BoolOp | ast.UnaryOp
"""Conditions that are turned round by another mutant."""
_WORDS = {"left": "right", "right": "left"}
"""Strings that are no words for people: sides of ``searchsorted``."""
_EMPTY = {"int": "0", "bool": "False", "str": "''", "Intervals": "[]", "list": "[]"}
"""Type that a function returns → what it returns always, in a mutant."""


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """One change.

    Attributes:
        module: Dotted name.
        function: Qualified name within the module; empty at its top level.
        line: The source line, stripped.
        change: ``before -> after``.
        number: From 0, among mutants that are alike in all of these.
        lineno: Where it is today; no part of its identity.
        site: Which of the module's mutants it is today; likewise.
    """

    module: str
    function: str
    line: str
    change: str
    number: int
    lineno: int
    site: int

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What it is known by."""
        return self.module, self.function, self.line, self.change, self.number

    def __str__(self) -> str:
        """Return it as a person reads it."""
        return f"{self.module}:{self.lineno} {self.function or '(module)'}: {self.change}   in: {self.line}"


def mutants(module: str, source: str) -> list[Mutant]:
    """Return every mutant of a module, in order of the source."""
    lines = source.splitlines()
    found: list[Mutant] = []
    seen: dict[tuple[str, str, str], int] = {}
    for site, (node, function, change, _) in enumerate(_sites(ast.parse(source))):
        line = lines[node.lineno - 1].strip()
        kind = function, line, change
        number = seen[kind] = seen.get(kind, -1) + 1
        found.append(Mutant(module, function, line, change, number, node.lineno, site))
    return found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """Return the module's tree with one mutant in it."""
    tree = ast.parse(source)
    for site, (node, _, _, new) in enumerate(_sites(tree)):
        if site == mutant.site:
            _Replacing(node, new).visit(tree)
            return ast.fix_missing_locations(tree)
    raise ValueError(f"no such mutant: {mutant}")


class _Replacing(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(self._new, node) if node is self._old else self.generic_visit(node)


Site = tuple[ast.expr | ast.stmt, str, str, ast.AST]
"""The node that is changed, the function around it, what becomes what, the new node."""


def _sites(tree: ast.Module) -> Iterator[Site]:
    yield from _below(tree, "", None)


def _below(node: ast.AST, function: str, returns: str | None) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        if _is_left_alone(node, child):
            continue
        inner, type_returned = function, returns
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            inner = f"{function}.{child.name}".lstrip(".")
            if isinstance(child, ast.FunctionDef):
                type_returned = ast.unparse(child.returns).partition("[")[0] if child.returns is not None else None
        elif isinstance(child, ast.expr | ast.stmt):
            for new in _changes(child, returns):
                yield child, function, f"{_short(child)} -> {_short(new)}", new
        yield from _below(child, inner, type_returned)


def _is_left_alone(parent: ast.AST, child: ast.AST) -> bool:
    """Return whether something says nothing that a check does: annotations, decorators, messages, limits' schema."""
    if isinstance(parent, ast.FunctionDef | ast.ClassDef) and child in parent.decorator_list:
        return True
    if isinstance(parent, ast.FunctionDef) and child is parent.returns:
        return True
    if isinstance(parent, ast.AnnAssign | ast.arg) and child is parent.annotation:
        return True
    if isinstance(parent, ast.Expr) and isinstance(child, ast.Constant):
        return True
    if isinstance(child, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Raise | ast.Assert):
        return True
    if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
        return True
    called = child.func if isinstance(child, ast.Call) else None
    return isinstance(called, ast.Name) and called.id in {"field", "TypeVar"}


def _changes(node: ast.expr | ast.stmt, returns: str | None) -> Iterator[ast.AST]:
    if isinstance(node, ast.stmt):
        yield from _of_statement(node, returns)
        return
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            for other in _COMPARED[type(operator)]:
                yield ast.Compare(node.left, [*node.ops[:at], other(), *node.ops[at + 1 :]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        yield ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.Name) and node.id in _NAMES and isinstance(node.ctx, ast.Load):
        yield ast.Name(_NAMES[node.id], node.ctx)
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES and isinstance(node.ctx, ast.Load):
        yield ast.Attribute(node.value, _NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.IfExp) and not isinstance(node.test, _CHANGED_THEMSELVES):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node)


def _of_constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(1 - value if value in {0, 1} else value + 1)
    elif isinstance(value, str) and value in _WORDS:
        yield ast.Constant(_WORDS[value])


def _of_statement(node: ast.stmt, returns: str | None) -> Iterator[ast.AST]:
    if isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield ast.Pass()
    elif isinstance(node, ast.If | ast.While) and not isinstance(node.test, _CHANGED_THEMSELVES):
        yield _with_test(node, ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Return) and node.value is not None and returns in _EMPTY:
        empty = ast.parse(_EMPTY[returns], mode="eval").body
        if ast.unparse(empty) != ast.unparse(node.value):
            yield ast.Return(empty)


def _with_test(node: ast.If | ast.While, test: ast.expr) -> ast.AST:
    return type(node)(test, node.body, node.orelse)


def _short(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0][:100]


class Loader(importlib.machinery.SourceFileLoader):
    """Loads one module mutated; neither its source nor anything compiled from it is written."""

    def __init__(self, mutant: Mutant, path: Path) -> None:
        super().__init__(mutant.module, str(path))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """Return the mutated code."""
        source = Path(self.path).read_text(encoding="utf-8")
        return compile(mutated(source, self._mutant), self.path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Finds one module mutated, all others as ever."""

    def __init__(self, mutant: Mutant, path: Path) -> None:
        self._mutant, self._path = mutant, path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of the mutant, None for any other module."""
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=Loader(self._mutant, self._path))

    def install(self) -> None:
        """Put it before all other finders of this process."""
        sys.meta_path.insert(0, self)
