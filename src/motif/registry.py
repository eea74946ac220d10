"""The engines by name: the only list of families. And what an engine is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol

from torch import nn

from .edit import Edit
from .errors import MotifError
from .motion import Motion
from .recipes import clip_diffusion, ganimator
from .recipes.clip_gan import ClipGan
from .recipes.clip_match import ClipMatch
from .train import Stage


class Recipe(Protocol):
    """An engine's hyper-parameters: a frozen dataclass."""

    unsupported: ClassVar[Mapping[str, str]]
    """What it cannot be asked (:attr:`Edit.asks`), and why."""

    def prepare(self, clips: Sequence[Motion]) -> Any:
        """What the engine sees of its clips; quick and free of chance."""
        ...

    def net(self, exemplar: Any) -> nn.Module:
        """An untrained net for these clips, or an empty module."""
        ...

    def plan(self, exemplar: Any) -> list[tuple[str, int]]:
        """Names and steps of the stages to come."""
        ...

    def stages(self, net: nn.Module, exemplar: Any, seed: int) -> Iterator[Stage]:
        """What the loop does; see :func:`motif.train.run`."""
        ...

    def sample(
        self,
        net: nn.Module,
        exemplar: Any,
        edit: Edit,
        n: int,
        seed: int,
        lock: bool,
        progress: Callable[[float], None],
    ) -> list[Motion]:
        """New takes."""
        ...


RECIPES: dict[str, Recipe] = {
    "clip-match": ClipMatch(),
    "clip-gan": ClipGan(),
    **clip_diffusion.PRESETS,
    **ganimator.PRESETS,
}


def recipe(name: str, **dials: Any) -> Recipe:
    """The recipe of this name with its dials set; those that are None keep their defaults."""
    if name not in RECIPES:
        raise MotifError(f"no engine {name!r}; there is {', '.join(map(repr, RECIPES))}")
    return turned(name, RECIPES[name], **dials)


def turned(name: str, recipe: Recipe, **dials: Any) -> Recipe:
    """A recipe with other dials; those that are None stay."""
    known = [f.name for f in fields(recipe)]  # type: ignore[arg-type]
    given = {k: v for k, v in dials.items() if v is not None}
    wrong = sorted(set(given) - set(known))
    if wrong:
        raise MotifError(f"{name} has no dial {', '.join(map(repr, wrong))}; it has {', '.join(known)}")
    return replace(recipe, **given)  # type: ignore[type-var]


def check_supported(name: str, recipe: Recipe, edit: Edit) -> None:
    """Raise an error that says why, if an engine cannot do what an edit asks."""
    for asked in edit.features:
        if asked in recipe.unsupported:
            raise MotifError(f"{name} cannot be asked for {asked}: {recipe.unsupported[asked]}")
