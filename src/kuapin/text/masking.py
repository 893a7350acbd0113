"""Personal data in item texts, replaced before a text is hashed, cached, encoded, tuned on or logged.

Sellers put their own numbers into titles. What is masked has a form that product numbers do not share: a checksum, a
numbering plan, separators, or a word such as ``tel`` in front. Bare digits of a barcode's or a part number's form stay,
because losing them would cost every shop more than a rare number that is missed: the numbering plans of all countries
together (as in the ``phonenumbers`` library) hold about every ten-digit number, barcodes included.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date

import polars as pl

EMAIL, PHONE, ID, CARD = "[EMAIL]", "[PHONE]", "[ID]", "[CARD]"

MASKER_VERSION = 1
"""Goes up with every change of what is masked: vectors of texts that were masked otherwise are then not reused."""

# No letter, digit or hyphen of a longer number around it; a Chinese character may touch.
_START = r"(?<![A-Za-z0-9])(?<!\d[-.,/])(?<![A-Za-z]-)"
_END = r"(?![A-Za-z0-9])(?![-/]?\d)(?!-[A-Za-z])"

_CHINESE_MOBILE = r"1(?:3\d|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])[- ]?\d{4}[- ]?\d{4}"
_PHONES = (
    # International: a plus, a country code, 8 to 15 digits with single separators
    r"(?<![\w+])\+[1-9](?:[ .\-/]?\(?\d\)?){7,14}" + _END,
    _START + r"(?:(?:00)?86[- ]?)?" + _CHINESE_MOBILE + _END,
    # China, land lines: the area code always stands apart
    _START + r"(?:\(0(?:10|2\d|[3-9]\d\d)\) ?|0(?:10|2\d|[3-9]\d\d)[- ])(?:\d{4}[- ]?\d{4}|\d{7})" + _END,
    # North America: area and exchange do not begin with 0 or 1, nor end in 11
    _START + r"(?:1[-. ])?(?:\((?!.11)[2-9][0-8]\d\) ?|(?!.11)[2-9][0-8]\d[-.])(?!.11)[2-9]\d\d[-.]\d{4}" + _END,
    # United Kingdom
    _START + r"(?:07\d{3} \d{3} ?\d{3}|02\d \d{4} \d{4}|01\d1 \d{3} \d{4}|011\d \d{3} \d{4})" + _END,
    # France; Japan and Korea; Brazil
    _START + r"0[1-9](?P<gap>[ .\-])\d\d(?:(?P=gap)\d\d){3}" + _END,
    _START + r"0[1789]0-\d{4}-\d{4}" + _END,
    _START + r"\(\d\d\) ?9\d{4}-\d{4}" + _END,
)
_ANNOUNCED = re.compile(
    r"(?:\b(?:tel|telephone|phone|mobile|cell|call|whatsapp|wechat|weixin|fax|text|sms|wx|vx)(?:\s?(?:no\.?|number|us|id))?"
    r"|电话|手机号?|微信号?|热线|致电|联系方式|客服)"
    # After a colon any grouping; else only those of phone numbers: "phone 2019 2020 2021" is a list of models
    r"(?:\s?[:：]\s?(?P<any>\+?\(?\d{2,}\)?(?:[ .\-/]{1,2}\(?\d{2,}\)?){0,4})"
    r"|\s?[#.]?\s?(?P<grouped>\d{9,15}|\(?\d{3}\)?[ .-]{1,2}\d{3,4}[ .-]\d{4}|0\d{2,4}[ .-]\d{6,8}))" + _END,
    re.IGNORECASE,
)
_SOCIAL_SECURITY = re.compile(
    r"\b(?:ssn|social security(?: number| no\.?)?)\W{0,3}\d{3}[- ]?\d{2}[- ]?\d{4}" + _END, re.I
)
_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[^\W_](?:[\w-]*[^\W_])?\.){1,8}[A-Za-z]{2,24}")
_PHONE = re.compile("|".join(f"(?:{pattern})" for pattern in _PHONES))
_IDENTITY = re.compile(_START + r"[1-9]\d{5}[- ]?(?:18|19|20)\d{6}[- ]?\d{3}[\dXx]" + _END)
_CARD = re.compile(
    _START + r"(?:\d{15,19}|\d{4}(?P<sep>[ -])\d{4}(?P=sep)\d{4}(?P=sep)\d{1,4}(?:(?P=sep)\d{1,3})?"
    r"|\d{4}(?P<gap>[ -])\d{6}(?P=gap)\d{4,5})" + _END
)

_PLAIN = str.maketrans("０１２３４５６７８９＋－（）＠．／　", "0123456789+-()@./ ")
"""Full-width forms, one character each, so that places in the plain text are places in the text."""

_CANDIDATE = r"[@＠]|[0-9０-９](?:[^\pL0-9０-９]{0,3}[0-9０-９]){6}"
_PROVINCES = {
    *range(11, 16),
    *range(21, 24),
    *range(31, 38),
    *range(41, 47),
    *range(50, 55),
    *range(61, 66),
    71,
    81,
    82,
    83,
}


def mask(texts: pl.Series) -> pl.Series:
    """The texts with personal data replaced; nulls stay. Masking twice changes nothing more.

    Args:
        texts: strings; most have no ``@`` and no seven digits and are passed by without a closer look.
    """
    rows = texts.str.contains(_CANDIDATE).fill_null(value=False).arg_true()
    if rows.is_empty():
        return texts
    # scatter writes in place: the caller's series must stay as it is
    return texts.clone().scatter(rows, [mask_text(text) for text in texts.gather(rows)])


def mask_text(text: str) -> str:
    """One text with e-mail addresses, phone, identity-card and payment-card numbers replaced."""
    while True:  # until nothing is left: what stood beside a number may itself be one once that is masked
        masked = text
        for find in _FINDERS:
            masked = _replaced(masked, find)
        if masked == text:
            return text
        text = masked


Span = tuple[int, int, str]


def _replaced(text: str, find: Callable[[str], Iterator[Span]]) -> str:
    pieces, end = [], 0
    for start, stop, label in find(text.translate(_PLAIN)):
        pieces += [text[end:start], label]
        end = stop
    return "".join([*pieces, text[end:]])


def _emails(text: str) -> Iterator[Span]:
    for found in _EMAIL.finditer(text):
        yield *found.span(), EMAIL


def _identities(text: str) -> Iterator[Span]:
    for found in _IDENTITY.finditer(text):
        if is_identity_card(re.sub(r"[- ]", "", found[0])):
            yield *found.span(), ID


def _social_security(text: str) -> Iterator[Span]:
    for found in _SOCIAL_SECURITY.finditer(text):
        yield *found.span(), ID


def _cards(text: str) -> Iterator[Span]:
    for found in _CARD.finditer(text):
        if is_payment_card(re.sub(r"[- ]", "", found[0])) and not _in_a_list(text, *found.span()):
            yield *found.span(), CARD


def _phones(text: str) -> Iterator[Span]:
    for found in _PHONE.finditer(text):
        if not _in_a_list(text, *found.span()):
            yield *found.span(), PHONE


def _in_a_list(text: str, start: int, stop: int) -> bool:
    """Whether a number with spaces goes on before or after: a list of models, such as 5510 5511 5512 5514 5515."""
    return " " in text[start:stop] and bool(re.search(r"\d $", text[:start]) or re.match(r" \d", text[stop:]))


def _announced_phones(text: str) -> Iterator[Span]:
    for found in _ANNOUNCED.finditer(text):
        group = "any" if found["any"] else "grouped"
        if 7 <= sum(character.isdigit() for character in found[group]) <= 15:
            yield *found.span(group), PHONE


_FINDERS = (_emails, _identities, _social_security, _cards, _phones, _announced_phones)


def is_identity_card(number: str) -> bool:
    """Whether 18 characters are a Chinese identity-card number: province, birth date, ISO 7064 MOD 11-2 (GB 11643)."""
    if int(number[:2]) not in _PROVINCES:
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17].upper()


def is_payment_card(number: str) -> bool:
    """Whether digits have a card scheme's prefix and length and the Luhn checksum (ISO/IEC 7812).

    Thirteen digits, once used by Visa, are barcodes today.
    """
    prefix, length = int(number[:4]), len(number)
    scheme = (
        (number[0] == "4" and length in (16, 19))  # Visa
        or ((5100 <= prefix <= 5599 or 2221 <= prefix <= 2720) and length == 16)  # Mastercard
        or (prefix // 100 in (34, 37) and length == 15)  # American Express
        or (prefix // 100 == 62 and 16 <= length <= 19)  # UnionPay
        or ((prefix == 6011 or 6440 <= prefix <= 6599) and 16 <= length <= 19)  # Discover
        or (3528 <= prefix <= 3589 and 16 <= length <= 19)  # JCB
        or ((3000 <= prefix <= 3059 or prefix // 100 in (36, 38, 39)) and length == 14)  # Diners
        or (2200 <= prefix <= 2204 and 16 <= length <= 19)  # Mir
    )
    if not scheme:
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
