"""Personal data in made-up texts of people, in English and Chinese, and false masks on real product titles.

The records come from Faker (its own lists of names, streets and formats, none of which the recognisers know), put into
sentences of reviews and notes. ``structured_recall`` is the share of e-mail addresses, phone, identity and payment-card
numbers of which nothing is left; of names and addresses recall is the same, and precision the share of masks that
touch one. ``false_mask`` is the share of real titles that the masking of item texts changes; ``false_mask.texts`` that
of the stricter masking of people's texts on the same titles.

English records are half American, half British; Chinese ones have mainland formats. Intervals: bootstrap over records.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from faker import Faker

from benchmarks.harness import Figure, data_folder, parse_arguments, print_table, write_result
from kuapin.text.masking import mask
from kuapin.text.personal import ADDRESS, NAME, mask_personal

STRUCTURED = ("email", "phone", "id", "card")
RECORDS = 2_000
TITLES = ("amazon18_arts_office", "tmall_double11_beauty_zh", "taobao_titles_ner_zh", "litemall_yanxuan_zh")
ENGLISH = (
    ("name", "My name is {}, and I have had this for a month."),
    ("name", "Great service! Thank you.\nRegards,\n{}"),
    ("name", "{} from support was very kind."),
    ("name", "I spoke to {} about the refund."),
    ("address", "Please send the new one to {} as soon as you can."),
    ("address", "It was left at the wrong door, we live at {}."),
    ("phone", "You can reach me on {} after six."),
    ("phone", "The box was broken. {}"),
    ("email", "No answer yet, write to {} please."),
    ("email", "{} is where the invoice should go"),
    ("id", "They even asked for {}, which I find odd."),
    ("card", "You charged {} twice!"),
    ("card", "Wrong card on file, use {} instead."),
)
CHINESE = (
    ("name", "我叫{}，买了一个月了，很好用。"),
    ("name", "收件人：{}，请尽快发货"),
    ("name", "客服{}态度很好。"),
    ("address", "请寄到{}，谢谢"),
    ("address", "我家在{}，一直没收到货。"),
    ("phone", "电话{}，晚上联系"),
    ("phone", "包装坏了。{}"),
    ("email", "发票请发到{}。"),
    ("email", "{}没有收到邮件"),
    ("id", "还要我填{}，很奇怪。"),
    ("card", "{}被扣了两次款！"),
    ("card", "请用这张卡{}支付"),
)


@dataclass(frozen=True)
class Record:
    """A text with one piece of personal data in it."""

    kind: str
    value: str
    text: str


def records(language: str, count: int, seed: int) -> Iterator[Record]:
    """Made-up records, every sentence as often."""
    sentences = ENGLISH if language == "en" else CHINESE
    fakers = [Faker(name) for name in (("en_US", "en_GB") if language == "en" else ("zh_CN",))]
    for number, faker in enumerate(fakers):
        faker.seed_instance(seed * 10 + number)
    for number in range(count):
        kind, sentence = sentences[number % len(sentences)]
        faker = fakers[(number // len(sentences)) % len(fakers)]
        value = _value(faker, kind)
        yield Record(kind, value, sentence.format(value))


def _value(faker: Faker, kind: str) -> str:
    if kind == "id" and "en_GB" in faker.locales:
        return _american(faker)
    made = {
        "name": faker.name,
        "address": faker.address,
        "phone": faker.phone_number,
        "email": faker.email,
        "id": faker.ssn,
        "card": faker.credit_card_number,
    }
    return str(made[kind]())


def _american(faker: Faker) -> str:
    """Faker's British numbers begin with ZZ, which no real one does; the American ones are taken twice."""
    return f"{faker.random_int(1, 899):03d}-{faker.random_int(1, 99):02d}-{faker.random_int(1, 9999):04d}"


def left(record: Record, masked: str) -> bool:
    """Whether something of the value can still be read: a number's four digits in a row, or half of its words."""
    if record.kind in ("phone", "id", "card"):
        digits = re.sub(r"\D", "", record.value)
        kept = re.sub(r"\D", "", masked)
        return any(digits[place : place + 4] in kept for place in range(len(digits) - 3))
    if record.kind == "email":
        return record.value.split("@")[0] in masked
    pieces = [piece for piece in re.split(r"[\s,]+", record.value) if len(piece) > 1]
    return sum(piece in masked for piece in pieces) * 2 >= len(pieces)


def share(values: Sequence[bool], seed: int) -> Figure:
    """The share of true values with its bootstrap interval."""
    sample = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(sample, (1_000, len(sample))).mean(axis=1)
    return Figure(float(sample.mean()), *map(float, np.quantile(drawn, (0.025, 0.975))))


def examine(language: str, count: int, seed: int, masker: Callable[[str], str], suffix: str) -> dict[str, Figure]:
    """Recall by kind, and the precision of masks of names and addresses."""
    made = list(records(language, count, seed))
    masked = [masker(record.text) for record in made]
    found = [not left(record, text) for record, text in zip(made, masked, strict=True)]
    figures = {
        f"structured_recall.{language}{suffix}": share(
            [one for one, record in zip(found, made, strict=True) if record.kind in STRUCTURED], seed
        )
    }
    for kind in (*STRUCTURED, "name", "address"):
        own = [one for one, record in zip(found, made, strict=True) if record.kind == kind]
        figures[f"{kind}_recall.{language}{suffix}"] = share(own, seed)
    for kind, label in (("name", NAME), ("address", ADDRESS)):
        right = [record.kind == kind for record, text in zip(made, masked, strict=True) if label in text]
        if right:
            figures[f"{kind}_precision.{language}{suffix}"] = share(right, seed)
    return figures


def titles(most: int | None) -> pl.Series:
    """Real product titles, English and Chinese."""
    parts = []
    for name in TITLES:
        path = data_folder() / name / "items.parquet"
        if path.is_file():
            parts.append(pl.read_parquet(path, columns=["title"])["title"].drop_nulls())
    whole = pl.concat(parts)
    return whole if most is None else whole.sample(min(most, len(whole)), seed=0)


def main() -> None:
    """Measure, print, write ``results/privacy.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    count = 1_000 if arguments.quick else 2 * RECORDS
    figures: dict[str, Figure] = {}
    for language in ("en", "zh"):
        figures |= examine(language, count, seed, mask_personal, "")
        figures |= examine(language, count, seed, lambda text: mask_personal(text, library=True), ".presidio")
    real = titles(5_000 if arguments.quick else None)
    plain = (mask(real) != real).to_list()
    strict = [mask_personal(title) != title for title in real]
    figures["false_mask"] = share(plain, seed)
    figures["false_mask.texts"] = share(strict, seed)
    hit = [title for title, changed in zip(real, strict, strict=True) if changed][:10]
    print_table("Titles that the masking of people's texts changes", ["title"], [[title] for title in hit])
    extra = {"records_each": count, "titles": len(real), "sets": list(TITLES)}
    write_result("privacy", figures, seeds=[seed], quick=arguments.quick, extra=extra)


if __name__ == "__main__":
    main()
