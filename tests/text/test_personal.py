"""What people write, without what says who they are."""

import time

import pytest

from kuapin.text.personal import mask_personal

MASKED = {
    "Hi, my name is Brandy Arnold, call +1-780-563-6083x7783": "Hi, my name is [NAME], call [PHONE]",
    "I am Brandy Arnold and I love it": "I am [NAME] and I love it",
    "Regards,\nLindsay Randall": "Regards,\n[NAME]",
    "Ask for Mrs. Carter please": "Ask for Mrs. [NAME] please",
    "sent to 4981 Mosley Coves Apt. 409\nNorth Robertton, ID 31910 twice": "sent to [ADDRESS] twice",
    "it is 12 Baker Street, London": "it is [ADDRESS], London",
    "Flat 8\n83 Warren Brooks\nNorth Patricia\nB27 8JW ok": "[ADDRESS] ok",
    "my number 5558675309": "my number [PHONE]",
    "(0161) 4960066": "[PHONE]",
    "mine is 457-91-8296 here": "mine is [ID] here",
    "card 4411442694209 was charged": "card [CARD] was charged",
    "我叫宋红霞，电话15191417776": "我叫[NAME]，电话[PHONE]",
    "收件人：张凤兰 很好": "收件人：[NAME] 很好",
    "寄到：湖北省海门县丰都石家庄街5座 928345，谢谢": "寄到：[ADDRESS]，谢谢",
    "中山路 12 号 3 栋": "[ADDRESS]",
}
KEPT = (
    "I am Happy with it, 5 stars",
    "Dr. Bronner's soap is great",
    "size 10 Blue Widgets, 2 for 1",
    "arrived 2026-11-24, order 12345",
    "barcode 4006381333931",
    "3 Row Toothbrush for 2 people",
    "我是老顾客，质量很好",
    "这条街道的风格",
    "",
)


@pytest.mark.parametrize(("text", "masked"), MASKED.items())
def test_what_says_who_it_is_is_masked(text, masked):
    assert mask_personal(text) == masked
    assert mask_personal(masked) == masked


@pytest.mark.parametrize("text", KEPT)
def test_what_does_not_stays(text):
    assert mask_personal(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        "市路",
        "区",
        "1 A ",
        "中",
        "+1 (",
        "Mr. ",
        "4111 ",
        "name: A",
        "1 Aa,\n",
        "号楼路1",
        "1 Aaa," + (" " * 60 + ",") * 3,
        "1 Aaa," + "a,        " * 3,
    ],
)
def test_no_text_takes_long(piece):
    text = (piece * 20_000)[:20_000]
    started = time.process_time()
    mask_personal(text)
    assert time.process_time() - started < 3


def test_presidio_knows_more_kinds():
    pytest.importorskip("presidio_analyzer")
    assert mask_personal("from 192.168.10.21", library=True) == "from [NETWORK]"
    assert mask_personal("IBAN GB82WEST12345698765432", library=True) == "IBAN [CARD]"
    assert mask_personal("我叫宋红霞 a@b.example.org", library=True) == "我叫[NAME] [EMAIL]"
