import tomllib
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from kuapin.config import Config, _toml_lines, section_of, settings
from kuapin.errors import InputError


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "kuapin.toml"
    path.write_text(text, encoding="utf-8")
    return Config.load(path)


def test_the_written_file_is_the_default_configuration(tmp_path):
    assert load(tmp_path, Config().render_toml()) == Config()


def test_an_empty_file_is_the_default_configuration(tmp_path):
    assert load(tmp_path, "") == Config()


def test_values_come_back(tmp_path):
    config = load(tmp_path, '[releases]\nkeep = 9\nsigning_key_file = "a \\"b\\"\\n\\u007f.key"\n')
    assert config.releases.keep == 9
    assert config.releases.signing_key_file == Path('a "b"\n\x7f.key')
    assert load(tmp_path, config.render_toml()) == config


def test_one_seed_for_everything(tmp_path):
    config = load(tmp_path, "seed = 7\n[ranking]\nfolds = 3\n[sources.als]\nalpha = 2.0\n")
    assert (config.ranking.folds, config.sources.als.alpha) == (3, 2.0)
    seeds = [config.ranking.seed, config.live.seed, config.sources.als.seed, config.sources.popularity.seed]
    assert [*seeds, config.sources.segments.seed] == [7] * 5
    text = config.render_toml()
    assert text.count("\nseed = ") == 1
    assert load(tmp_path, text) == config
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_every_key_is_written_with_a_description():
    lines = Config().render_toml().splitlines()
    known = list(settings())
    assert len(known) >= 20
    for setting in known:
        assert setting.description, f"{setting.key} has no description"
        name = setting.key.rsplit(".", 1)[-1]
        assert any(line.lstrip("# ").startswith(f"{name} =") for line in lines), setting.key


def test_every_section_is_described_and_closed():
    def sections(model: type[BaseModel]):
        for field in model.model_fields.values():
            section = section_of(field)
            if section:
                yield section
                yield from sections(section)

    found = list(sections(Config))
    assert found
    for section in found:
        assert section.__doc__, section
        assert section.model_config.get("frozen"), section
        assert section.model_config.get("extra") == "forbid", section


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", r"kuapin.toml: there is no setting sed\. Did you mean seed\?"),
        ("[release]\nkeep = 3", r"there is no setting release\. Did you mean releases\?"),
        ("[releases]\nkeeep = 3", r"there is no setting releases\.keeep\. Did you mean releases\.keep\?"),
        ("keep = 3", r"there is no setting keep\. Did you mean releases\.keep\?"),
        ("[qqqq]\n", r"there is no setting qqqq\. docs/configuration\.md lists all keys\."),
        ("seed = -1", r"seed is -1: input should be greater than or equal to 0\. Correct the value or delete"),
        ('[signals]\nproposers = ["brand"]', r"signals: 'brand' cannot be one of the proposers; .* can\. Correct"),
        ('seed = "7"', r"seed is '7': input should be a valid integer\. Correct the value"),
        ("seed = 7.0", r"seed is 7\.0: input should be a valid integer\. Correct the value"),
        ("seed = true", r"seed is True: input should be a valid integer\. Correct the value"),
        ('seed = "x"\nfoo = 1', r"seed is 'x': .* \(1 more after this one\)\. Correct"),
        ("[ranking]\nseed = 1", r"there is no setting ranking\.seed\. The seed at the top is that of everything"),
        ("[sources.als]\nseed = 1", r"there is no setting sources\.als\.seed\. The seed at the top"),
        (
            '[signals]\nsources = ["repeat", "easy"]',
            r"there is no source 'easy'; there are repeat, popularity, .*, lexical\. C",
        ),
        ('[signals]\nproposers = ["Repeat"]', r"signals\.proposers is \['Repeat'\]: there is no source 'Repeat'"),
        ("[signals]\nsources = []", r"signals\.sources is \[\]: at least one source is needed"),
        ("seed =", r"kuapin.toml: this is not TOML \(Invalid value"),
    ],
)
def test_a_wrong_file_is_explained_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        load(tmp_path, text)
    assert "\n" not in str(error.value)


def test_a_file_of_another_encoding_or_none_at_all(tmp_path):
    path = tmp_path / "kuapin.toml"
    with pytest.raises(InputError, match="cannot be read"):
        Config.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="this is not TOML"):
        Config.load(path)


def test_none_is_written_as_a_word_where_it_is_not_the_default(tmp_path):
    text = Config().render_toml()
    assert "max_history = 50" in text
    none = load(tmp_path, text.replace("max_history = 50", 'max_history = "none"', 1))
    assert none.sources.content.max_history is None
    assert 'max_history = "none"' in none.render_toml()
    assert load(tmp_path, none.render_toml()) == none
    with pytest.raises(InputError, match=r"sources\.content\.max_history is 'all'"):
        load(tmp_path, '[sources.content]\nmax_history = "all"')


class _Inner(BaseModel):
    """An inner section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: tuple[str, ...] = Field((), description="Words.")
    weights: dict[str, float] = Field({}, description="Weights.")
    mode: Literal["fast", "exact"] | None = Field(None, description="Mode.")


class _Outer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(1e-5, gt=0, le=1, description="Rate.")
    on: bool = Field(True, description="On.")
    inner: _Inner = _Inner()


@given(
    st.lists(st.text()),
    st.dictionaries(st.text(), st.floats(allow_nan=False)),
    st.sampled_from(["fast", "exact", None]),
    st.floats(1e-300, 1),
    st.booleans(),
)
def test_any_value_survives_writing_and_reading(words, weights, mode, rate, on):
    model = _Outer(rate=rate, on=on, inner=_Inner(words=tuple(words), weights=weights, mode=mode))
    assert _Outer.model_validate(tomllib.loads("\n".join(_toml_lines(model, ())))) == model


def test_rules_are_put_in_words():
    rules = {setting.key: (setting.rule, setting.default) for setting in settings(_Outer)}
    assert rules["rate"] == ("> 0.0, ≤ 1.0", "1e-05") or rules["rate"] == ("> 0, ≤ 1", "1e-05")
    assert rules["inner.mode"] == ('one of "fast", "exact"', "(not set)")
    assert rules["inner.words"] == ("", "[]")
