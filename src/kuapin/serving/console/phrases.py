"""Every word of the console, in each of its languages: ``phrases.toml``."""

import tomllib
from functools import cache
from importlib import resources
from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: dict[Language, str] = {"en": "English", "zh": "简体中文"}
"""Language → what it calls itself."""
CODES: dict[Language, str] = {"en": "en", "zh": "zh-Hans"}
"""Language → its BCP 47 tag."""


@cache
def catalogue() -> dict[str, dict[Language, str]]:
    """``section.name`` → language → the phrase, with its ``{placeholders}``."""
    text = resources.files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8")
    return {
        f"{section}.{name}": said for section, all_of in tomllib.loads(text).items() for name, said in all_of.items()
    }


class Phrases:
    """The phrases of one language, called by their key.

    Args:
        language: of them.
    """

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """A phrase with its placeholders filled.

        Raises:
            KeyError: there is no such phrase.
        """
        said = catalogue()[key][self.language]
        return said.format(**values) if values else said

    def known(self, section: str, name: str) -> str:
        """The phrase of a name that the shop may have made up itself; the name where there is none."""
        found = catalogue().get(f"{section}.{name}")
        return found[self.language] if found else name


def preferred(accepted: str) -> Language:
    """The language that a browser would rather have, by its header Accept-Language."""
    for part in accepted.lower().split(","):
        tag = part.strip().partition(";")[0].partition("-")[0]
        if tag in LANGUAGES:
            return "zh" if tag == "zh" else "en"
    return "en"
