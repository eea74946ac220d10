"""Make docs/api.md: every name of the public API with its signature and its meaning, from the docstrings.

Run ``python tools/api_page.py``; ``--check`` writes nothing, and the exit code says whether the page is current.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import motif

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
HEAD = "Everything below is `motif.NAME`. This page is made from the docstrings by `python tools/api_page.py`."


def meaning(doc: str | None, name: str) -> str:
    """The first paragraph of a docstring as one line."""
    if not doc:
        raise SystemExit(f"{name} has no docstring")
    text = " ".join(inspect.cleandoc(doc).split("\n\n")[0].split())
    return re.sub(r":\w+:(?=`)", "", text).replace("``", "`")


def signature(node: ast.FunctionDef) -> str:
    """A function's signature as it is written, without self."""
    for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        argument.annotation = argument.annotation and unquoted(argument.annotation)
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("self")
    returns = "" if node.returns is None else f" -> {ast.unparse(unquoted(node.returns))}"
    return f"{node.name}({arguments}){returns}".replace("'", '"')


def unquoted(annotation: ast.expr) -> ast.expr:
    """An annotation without quotes around it."""
    return ast.Name(annotation.value) if isinstance(annotation, ast.Constant) and annotation.value else annotation


def rows_of(body: list[ast.stmt], owner: str) -> Iterator[str]:
    """A list item for each public field, property and method of a class."""
    for node, after in zip(body, [*body[1:], ast.Pass()]):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id[0] != "_":
            doc = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            text = ast.unparse(node).replace("'", '"')
            yield f"- `{text}`: {meaning(doc, f'{owner}.{node.target.id}')}"
        elif isinstance(node, ast.FunctionDef) and node.name[0] != "_":
            marks = [ast.unparse(mark) for mark in node.decorator_list]
            text = signature(node)
            if any(mark.endswith("property") for mark in marks):
                text = f"{node.name}: {text.partition(' -> ')[2]}"
            elif "staticmethod" in marks:
                text = f"{owner}.{text}"
            yield f"- `{text}`: {meaning(ast.get_docstring(node), f'{owner}.{node.name}')}"


def make() -> str:
    """The page."""
    functions, classes = [], []
    for name in motif.__all__:
        [node] = ast.parse(inspect.getsource(getattr(motif, name))).body
        if isinstance(node, ast.FunctionDef):
            functions.append(f"- `{signature(node)}`: {meaning(ast.get_docstring(node), name)}")
        elif isinstance(node, ast.ClassDef):
            rows = "".join(f"\n{row}" for row in rows_of(node.body, name))
            bases = f"({', '.join(map(ast.unparse, node.bases))})" * bool(node.bases)
            text = meaning(ast.get_docstring(node), name)
            classes.append(f"## {name}{bases}\n\n{text}\n" + f"{rows}\n" * bool(rows))
    return "\n".join(["# The public API\n", HEAD, "\n## Functions\n", *functions, "", *classes])


if __name__ == "__main__":
    page = make()
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page)
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE)
