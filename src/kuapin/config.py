"""``kuapin.toml``: one section per component, each the component's own config class.

A new component is one line in :class:`Config`; reading, writing, error messages and ``docs/configuration.md`` follow.
"""

import difflib
import json
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from kuapin.encoding.settings import EncodingConfig
from kuapin.errors import InputError
from kuapin.evaluation.gate import GateConfig
from kuapin.model_folder import ReleasesConfig
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.exploration import ExplorationConfig
from kuapin.ranking.live import LiveConfig
from kuapin.ranking.phrases import ReasonsConfig
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.safety import SafetyConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.refresh_settings import RefreshConfig
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.service_settings import ServiceConfig
from kuapin.surfaces.home_strategies import StrategiesConfig
from kuapin.surfaces.profile import ProfileConfig
from kuapin.text.template import TextConfig

_NONE = "none"
_SEED = "seed"
_SEEDS = 2**31
_WIDTH = 110
_HEADER = """\
# Configuration of this shop. Every key is here with its value and its meaning;
# delete a line to return to the default. Check it with: kuapin validate SHOP
"""


class Config(BaseModel):
    """All settings of a shop. There is one seed: a component's own is set to it, and is no key of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(
        0,
        ge=0,
        lt=_SEEDS,
        strict=True,
        description="Seed of every random choice, of training and of evaluation; the same seed gives the same model.",
    )
    text: TextConfig = TextConfig()
    encoding: EncodingConfig = EncodingConfig()
    sources: SourcesConfig = SourcesConfig()
    signals: SignalsConfig = SignalsConfig()
    ranking: RankingConfig = RankingConfig()
    live: LiveConfig = LiveConfig()
    gate: GateConfig = GateConfig()
    refresh: RefreshConfig = RefreshConfig()
    diversity: DiversityConfig = DiversityConfig()
    exploration: ExplorationConfig = ExplorationConfig()
    strategies: StrategiesConfig = StrategiesConfig()
    profile: ProfileConfig = ProfileConfig()
    safety: SafetyConfig = SafetyConfig()
    reasons: ReasonsConfig = ReasonsConfig()
    releases: ReleasesConfig = ReleasesConfig()
    service: ServiceConfig = ServiceConfig()

    @model_validator(mode="before")
    @classmethod
    def _one_seed(cls, values: Any) -> Any:
        seed = values.get(_SEED, 0) if isinstance(values, dict) else None
        return _seeded(cls, values, seed) if type(seed) is int and 0 <= seed < _SEEDS else values

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file; what it does not say has its default.

        Raises:
            InputError: the file cannot be read, is not TOML, has an unknown key or a value that breaks a rule.
        """
        values = _read_toml(path, "Correct it, or delete it to start afresh.", "`kuapin init` writes a new one.")
        own = next(_own_seeds(values), None)
        if own is not None:
            raise InputError(
                f"{path}: there is no setting {own}. The seed at the top is that of everything; delete this."
            )
        return validated(cls, values, f"{path}")

    def render_toml(self) -> str:
        """The whole configuration as TOML, every key with its meaning as a comment; ``load`` reads it back."""
        return f"{_HEADER}\n{render_toml(self)}"


Settings = TypeVar("Settings", bound=BaseModel)


def render_toml(model: BaseModel) -> str:
    """All settings of a model as TOML, every key with its meaning as a comment; ``validated`` reads it back."""
    return "\n".join(_toml_lines(model, ()))


def read_preset(path: Path) -> dict[str, Any]:
    """The keys of a TOML file, to be ``validated``.

    Raises:
        InputError: the file cannot be read or is not TOML.
    """
    return _read_toml(path, "Correct it.", "Correct the path.")


def validated(model: type[Settings], values: dict[str, Any], where: str) -> Settings:
    """Settings from the values of a TOML file, with the word ``none`` for ``None``.

    Args:
        model: the config class.
        values: key → value; sections are dicts.
        where: the values come from, for the message.

    Raises:
        InputError: a key is unknown, or a value breaks a rule.
    """
    try:
        return model.model_validate(_read_none(model, values))
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(model, error)}") from error


def _read_toml(path: Path, broken: str, missing: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: this is not TOML ({error}). {broken}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). {missing}") from error


class Setting(BaseModel):
    """One key of the configuration, for documentation."""

    key: str
    default: str
    rule: str
    description: str
    about: str
    """What its section is for."""


def settings(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[Setting]:
    """Every key of the configuration, in the order of the file; keys of sections have dots."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is not None:
            yield from settings(section, f"{prefix}{name}.")
            continue
        if prefix and name == _SEED:
            continue
        default = field.get_default(call_default_factory=True)
        rendered = "(not set)" if default is None else _toml_value(_plain(default))
        yield Setting(
            key=f"{prefix}{name}",
            default=rendered,
            rule=_rule(field),
            description=_sentence(field.description),
            about=_about(model),
        )


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The config class of a field that is a section; ``None`` for a plain key."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _toml_lines(model: BaseModel, path: tuple[str, ...]) -> Iterator[str]:
    """Plain keys first, then the sections below them, as TOML wants it."""
    fields = type(model).model_fields
    sections = [name for name, field in fields.items() if section_of(field) is not None]
    keys = {name: field for name, field in fields.items() if name not in sections and not (path and name == _SEED)}
    if path and keys:
        yield ""
        yield from _comment(_about(type(model)))
        yield f"[{'.'.join(path)}]"
    for name, field in keys.items():
        value = getattr(model, name)
        rule = _rule(field)
        yield from _comment(_sentence(field.description) + (f" ({rule})" if rule else ""))
        if value is None:
            yield f'{name} = "{_NONE}"' if _has_spelled_none(field) else f"# {name} ="
        else:
            yield f"{name} = {_toml_value(_plain(value))}"
    for name in sections:
        yield from _toml_lines(getattr(model, name), (*path, name))
    if not path:
        yield ""


def _about(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _has_spelled_none(field: FieldInfo) -> bool:
    """Whether ``None`` is allowed and not the default, so that leaving the key out cannot say it."""
    return NoneType in get_args(field.annotation) and field.get_default(call_default_factory=True) is not None


def _read_none(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """The values of a file, with the word ``none`` turned to ``None`` where a key can have it."""
    read = dict(values)
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section and isinstance(read.get(name), dict):
            read[name] = _read_none(section, read[name])
        elif read.get(name) == _NONE and _has_spelled_none(field):
            read[name] = None
    return read


def _seeded(model: type[BaseModel], values: dict[str, Any], seed: int) -> dict[str, Any]:
    """The values with ``seed`` in every section, at any depth, that has one."""
    filled = dict(values)
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is None or not isinstance(values.get(name, {}), BaseModel | dict):
            continue
        own = values.get(name, field.default)
        inner = _seeded(section, dict(own), seed)
        filled[name] = inner | ({_SEED: seed} if _SEED in section.model_fields else {})
    return filled


def _own_seeds(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """The keys of a file that give a section a seed of its own."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _own_seeds(value, f"{path}{name}.")
        elif path and name == _SEED:
            yield f"{path}{name}"


def _plain(value: object) -> Any:
    """A setting as strings, numbers, lists and dicts."""
    if isinstance(value, BaseModel):
        return {k: _plain(v) for k, v in value if v is not None}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(v) for v in value)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(v) for v in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_value(k)} = {_toml_value(v)}" for k, v in value.items()) + "}"
    return repr(value)


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}


def _rule(field: FieldInfo) -> str:
    """The values that a key may have, in words; empty where any value of its type will do."""
    choices = [json.dumps(choice) for choice in _choices(field.annotation)]
    bounds = [
        f"{sign} {getattr(constraint, name)}"
        for constraint in field.metadata
        for name, sign in _BOUNDS.items()
        if getattr(constraint, name, None) is not None
    ]
    none = ['or "none"'] if _has_spelled_none(field) else []
    return ", ".join([*(["one of " + ", ".join(choices)] if choices else []), *bounds, *none])


def _choices(annotation: object) -> list[object]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for inner in get_args(annotation) if inner is not NoneType for choice in _choices(inner)]


def _explain(model: type[BaseModel], error: ValidationError) -> str:
    """The first fault in words, and how many more there are."""
    faults = error.errors()
    first = faults[0]
    location = tuple(str(step) for step in first["loc"])
    key = ".".join(location)
    more = f" ({len(faults) - 1} more after this one)" if len(faults) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = {setting.key for setting in settings(model)}
        sections = {key.rsplit(".", depth)[0] for key in known for depth in range(1, key.count(".") + 1)}
        same_name = [k for k in sorted(known) if k.rsplit(".", 1)[-1] == location[-1]]
        near = same_name or difflib.get_close_matches(key, sorted(known | sections), n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}?" if near else "docs/configuration.md lists all keys."
        return f"there is no setting {key}{more}. {hint}"
    rule = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    rule = f"{rule[:1].lower()}{rule[1:]}{more}. Correct the value or delete the line."
    return f"{key}: {rule}" if isinstance(first["input"], BaseModel | dict) else f"{key} is {first['input']!r}: {rule}"
