import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuapin.text.masking import is_identity_card, is_payment_card, mask, mask_text

MASKED = {
    "write to john.doe+x@gmail.com now": "write to [EMAIL] now",
    "联系zhang_san@163.com谢谢": "联系[EMAIL]谢谢",
    "ｍｅ：a@b.example.org": "ｍｅ：[EMAIL]",
    "加微信13812345678包邮": "加微信[PHONE]包邮",
    "江浙沪洒水车出租13817970000绿化": "江浙沪洒水车出租[PHONE]绿化",
    "１３８１２３４５６７８": "[PHONE]",
    "vx13812345678": "vx[PHONE]",
    "手机：159 8765 4321": "手机：[PHONE]",
    "138-1234-5678": "[PHONE]",
    "+86 138 1234 5678": "[PHONE]",
    "0086 13812345678": "[PHONE]",
    "电话021-54140000": "电话[PHONE]",
    "(021) 5555 1234": "[PHONE]",
    "+44 (0)20 7946 0958": "[PHONE]",
    "+33 6 12 34 56 78": "[PHONE]",
    "call (202) 555-0123 today": "call [PHONE] today",
    "202-555-0123": "[PHONE]",
    "1-800-555-0199": "[PHONE]",
    "call 8005550199": "call [PHONE]",
    "Call us: 555-0199": "Call us: [PHONE]",
    "07700 900123": "[PHONE]",
    "020 7946 0958": "[PHONE]",
    "06 12 34 56 78": "[PHONE]",
    "090-1234-5678": "[PHONE]",
    "11010519491231002X": "[ID]",
    "身份证号11010519491231002x": "身份证号[ID]",
    "110105 19491231 002X": "[ID]",
    "SSN 123-45-6789": "[ID]",
    "4111 1111 1111 1111": "[CARD]",
    "5500-0000-0000-0004": "[CARD]",
    "378282246310005": "[CARD]",
    "3782 822463 10005": "[CARD]",
    "a@b.co or 13812345678, 4111111111111111": "[EMAIL] or [PHONE], [CARD]",
}

LEFT = [
    "UPC 012345678905",
    "4006381333931",
    "贝亲洗发水6901234567892",
    "ISBN 978-3-16-148410-0",
    "0-12345-67890-5",
    "4512345678901",
    "10pcs 12345678901",
    "part 1234567890",
    "HP 364XL 920-001-234",
    "for phone 2019 2020 2021",
    "iPhone 11 12 13 14 15 16 case",
    "photosmart 5510 5511 5512 5514 5515 6510 6512 6515 6520",
    "Brother TN-450 TN450 TN 450",
    "3M 051141-27788",
    "BX-1385551234A",
    "Part No. 555-123-4567-A",
    "staedtler 925 35 09 0.9mm",
    "MFG # 655339000",
    "货号13580024",
    "986-1581234-50029",
    "2023-11-23 10:00:00",
    "1.61803398875",
    "100-240V 50/60Hz 5000mAh 3.7V",
    "1000 2000 3000 4000 grit",
    "尺码35-40-45-49-50",
    "8K@60Hz, 4K@120Hz",
    "Aluminium@Home",
    "4111 1111 1111 1112",
    "110105194912310021",
    "",
]


@pytest.mark.parametrize(("text", "expected"), MASKED.items())
def test_personal_data_is_replaced(text, expected):
    assert mask_text(text) == expected


@pytest.mark.parametrize("text", LEFT)
def test_product_numbers_stay(text):
    assert mask_text(text) == text


def test_a_column_is_masked_like_its_texts_and_left_as_it_was():
    texts = pl.Series("title", [*MASKED, *LEFT, None])
    before = texts.to_list()
    assert mask(texts).to_list() == [*MASKED.values(), *LEFT, None]
    assert texts.to_list() == before


digits = st.text("0123456789 -+().@x年", max_size=40)


@given(st.one_of(digits, st.lists(st.sampled_from([*MASKED, *LEFT]), max_size=3).map(" ".join), st.text(max_size=30)))
def test_masking_twice_changes_nothing_more_and_a_column_agrees(text):
    once = mask_text(text)
    assert mask_text(once) == once
    assert mask(pl.Series([text])).to_list() == [once]


def test_identity_card_by_hand():
    # 1·7+1·9+0·10+1·5+0·8+5·4+1·2+9·1+4·6+9·3+1·7+2·9+3·10+1·5+0·8+0·4+2·2 = 167; 167 mod 11 = 2 → X
    assert is_identity_card("11010519491231002X")
    assert not is_identity_card("110105194912310020")  # checksum
    assert not is_identity_card("99010519491231002X")  # province
    assert not is_identity_card("110105194913310021")  # month 13


def test_payment_card_by_hand():
    # 4 + 0s: only the first digit counts, doubled: 8; the check digit must be 2
    assert is_payment_card("4000000000000002")
    assert not is_payment_card("4000000000000003")
    assert not is_payment_card("9000000000000001")  # Luhn holds, no scheme begins with 9
    assert not is_payment_card("4006381333931")  # a barcode of 13 digits that begins as Visa does


@pytest.mark.data
def test_real_titles_are_left_alone(data):
    sets, titles = 0, 0
    for path in sorted(data.glob("*/items.parquet")):
        texts = pl.read_parquet(path, columns=["title"])["title"].drop_nulls()
        assert (mask(texts) != texts).mean() <= 0.005, path
        sets, titles = sets + 1, titles + len(texts)
    assert sets >= 9
    assert titles > 30_000
