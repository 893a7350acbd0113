"""Words and patterns of what may not stand in a list, one data file a language."""

import re
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

FOLDER = "safety_lists"
LANGUAGES = ("en", "zh")
HARMLESS, INSTRUCTIONS = "harmless", "instructions"
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Class:
    """One class of harmful things in one language.

    Attributes:
        name: such as ``weapons``.
        words: that block.
        patterns: regular expressions that block, over the text in lower case.
        unless: words beside which neither blocks.
        examples: titles of this class, for the classifier.
        spaced: whether the language writes spaces: then words are whole words.
    """

    name: str
    words: tuple[str, ...]
    patterns: tuple[str, ...]
    unless: tuple[str, ...]
    examples: tuple[str, ...]
    spaced: bool

    def found(self, text: str) -> str | None:
        """What of it stands in a text (``plain``), or ``None``."""
        for pattern in (self._words, self._patterns):
            match = pattern.search(text) if pattern else None
            if match is not None:
                return None if self._unless and self._unless.search(text) else match[0].strip()
        return None

    @cached_property
    def _words(self) -> re.Pattern[str] | None:
        return _any(self.words, spaced=self.spaced)

    @cached_property
    def _unless(self) -> re.Pattern[str] | None:
        return _any(self.unless, spaced=self.spaced)

    @cached_property
    def _patterns(self) -> re.Pattern[str] | None:
        return re.compile("|".join(f"(?:{one})" for one in self.patterns)) if self.patterns else None


def _any(words: Sequence[str], *, spaced: bool) -> re.Pattern[str] | None:
    if not words:
        return None
    listed = "|".join(re.escape(plain(word)) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"\b(?:{listed})(?:s|es)?\b" if spaced else listed)


@dataclass(frozen=True)
class SafetyList:
    """The file of one language.

    Attributes:
        language: ``en`` or ``zh``.
        classes: of harmful things.
        harmless: titles that only sound like them.
        instructions: patterns of titles that speak to a model.
    """

    language: str
    classes: tuple[Class, ...]
    harmless: tuple[str, ...]
    instructions: tuple[str, ...]

    def harm(self, text: str) -> tuple[str, str] | None:
        """The class of the first harmful word of a text (``plain``) and the word, or ``None``."""
        for one in self.classes:
            word = one.found(text)
            if word is not None:
                return one.name, word
        return None

    def instruction(self, text: str) -> str | None:
        """What of a text (``plain``) is an instruction to a model, or ``None``."""
        match = self._instructions.search(text)
        return match[0] if match else None

    @cached_property
    def _instructions(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{one})" for one in self.instructions))


@cache
def safety_list(language: str) -> SafetyList:
    """The list of a language, from the package's data files."""
    text = (resources.files("kuapin.ranking") / FOLDER / f"{language}.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    harmless, instructions = tables.pop(HARMLESS), tables.pop(INSTRUCTIONS)
    classes = tuple(
        Class(
            name,
            tuple(one.get("words", ())),
            tuple(one.get("patterns", ())),
            tuple(one.get("unless", ())),
            tuple(one.get("examples", ())),
            spaced=language != "zh",
        )
        for name, one in tables.items()
    )
    return SafetyList(language, classes, tuple(harmless["examples"]), tuple(instructions["patterns"]))


def plain(text: str) -> str:
    """A text as the lists are looked for in it: full-width and styled letters plain, invisible ones gone, lower."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(ch for ch in folded if unicodedata.category(ch) != "Cf").split())


def words_of(text: str) -> set[str]:
    """The words of a text (``plain``): runs of letters and digits."""
    return set(_WORD.findall(text))
