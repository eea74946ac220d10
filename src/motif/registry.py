"""The recipes by name: the only list of them."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from .config import SampleConfig
from .edit import Edit
from .errors import MotifError
from .recipes import ganimator, sinmdm
from .recipes.base import PaperRecipe, Recipe
from .recipes.clip_flow import ClipFlow
from .recipes.clip_gan import ClipGan
from .recipes.clip_match import ClipMatch

RECIPES: dict[str, Recipe] = {
    "clip-match": ClipMatch(),
    "clip-gan": ClipGan(),
    "clip-flow": ClipFlow(),
    **sinmdm.RECIPES,
    **ganimator.RECIPES,
}


def recipe(name: str) -> Recipe:
    """Return the recipe of this name."""
    if name not in RECIPES:
        raise MotifError(f"no recipe {name!r}; there is {', '.join(map(repr, RECIPES))}")
    return RECIPES[name]


def with_params(name: str, params: Mapping[str, Any]) -> Recipe:
    """Return the recipe of this name with some of its hyper-parameters changed; lists stand for tuples."""
    found = recipe(name)
    known = [f.name for f in fields(found)]  # type: ignore[arg-type]
    wrong = sorted(set(params) - set(known))
    if wrong:
        raise MotifError(f"{name} has no parameter {', '.join(map(repr, wrong))}; it has {', '.join(known)}")
    return replace(found, **{k: tuple(v) if isinstance(v, list) else v for k, v in params.items()})  # type: ignore[type-var]


def resolve(recipe_or_name: str | Recipe) -> tuple[str, Recipe]:
    """Return a recipe and its name: of those of its class the one that it shares most hyper-parameters with."""
    if isinstance(recipe_or_name, str):
        return recipe_or_name, recipe(recipe_or_name)
    values = vars(recipe_or_name).items()
    alike = {
        name: sum(vars(known)[k] == v for k, v in values)
        for name, known in RECIPES.items()
        if type(known) is type(recipe_or_name)
    }
    if not alike:
        raise MotifError(f"{type(recipe_or_name).__name__} is not among the recipes; add it to motif.registry.RECIPES")
    return max(alike, key=lambda name: alike[name]), recipe_or_name


def check_supported(name: str, recipe: Recipe, edit: Edit, config: SampleConfig = SampleConfig()) -> None:
    """Raise an error that says why, if a recipe cannot do what an edit asks or has no use for a sampling parameter."""
    for feature in edit.features:
        if feature in recipe.unsupported:
            raise MotifError(f"{name} cannot be asked for {feature}: {recipe.unsupported[feature]}")
    for parameter in config.given:
        if parameter not in recipe.defaults.given:
            raise MotifError(f"{name} has no {parameter}; clip-match, clip-gan and clip-flow have")
    if config.finish == "none" and not isinstance(recipe, PaperRecipe):
        raise MotifError(
            f"{name} has no finish to leave out: its motion is the clips' own; ganimator and paper have one"
        )
