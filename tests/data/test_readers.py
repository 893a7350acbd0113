"""Every reader gives the same cells, and tells every fault by file, row and column."""

import gzip
import json

import polars as pl
import pytest

from kuapin.data.readers import read_header, read_table
from kuapin.errors import InputError

ROWS = [
    {"item_id": "007", "title": "Tea, green"},
    {"item_id": " a b ", "title": 'He said "no"'},
    {"item_id": "茶", "title": "🍵 \u200fشاي\n second line"},
]
CSV = 'item_id,title\n007,"Tea, green"\n a b ,"He said ""no"""\n茶,"🍵 \u200fشاي\n second line"\n'


def write(folder, suffix):
    """The three rows in one of the formats."""
    path = folder / f"items{suffix}"
    if ".parquet" in suffix:
        pl.DataFrame(ROWS).write_parquet(path)
        content = path.read_bytes()
    elif ".csv" in suffix:
        content = CSV.encode()
    elif ".tsv" in suffix:
        content = CSV.replace(",", "\t").replace("Tea\t", "Tea,").encode()
    elif suffix.startswith(".json") and ".jsonl" not in suffix:
        content = json.dumps(ROWS).encode()
    else:
        content = "\n".join(map(json.dumps, ROWS)).encode()
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json"])
def test_every_format_gives_the_same_cells(tmp_path, suffix, packed):
    path = write(tmp_path, suffix + packed)
    assert read_table(path).to_dicts() == ROWS
    assert read_header(path) == ["item_id", "title"]
    assert read_table(path, ["title"]).columns == ["title"]


def test_gzip_is_known_by_its_content(tmp_path):
    path = tmp_path / "items.csv"
    path.write_bytes(gzip.compress(CSV.encode()))
    assert read_table(path).to_dicts() == ROWS


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_cells(tmp_path):
    path = tmp_path / "items.csv"
    path.write_bytes(b"\xef\xbb\xbfitem_id,title\r\n1,x\r\n\r\n2,\r\n")
    assert read_table(path).to_dicts() == [{"item_id": "1", "title": "x"}, {"item_id": "2", "title": None}]


def test_a_long_title_and_nul_are_text(tmp_path):
    path = tmp_path / "items.csv"
    long = "x" * 200_000
    path.write_text(f"item_id,title\n1,{long}\n2,a\0b\n")
    assert read_table(path)["title"].to_list() == [long, "a\0b"]


def test_json_keeps_every_digit_of_an_id_and_the_types_of_attributes(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text(
        '{"item_id": 12345678901234567890123, "n": 1, "x": 1, "flag": true, "tags": ["a", 1], "deep": {"k": [1]}}\n'
        '\n{"item_id": "b", "n": 2, "x": NaN, "late": "z"}\n'
    )
    frame = read_table(path)
    assert frame["item_id"].to_list() == ["12345678901234567890123", "b"]
    assert frame["n"].to_list() == [1, 2]
    assert frame["x"].to_list() == [1, None]
    assert frame["flag"].to_list() == [True, None]
    assert frame["tags"].to_list() == [["a", "1"], None]
    assert frame["deep"].to_list() == ['{"k": [1]}', None]
    assert frame["late"].to_list() == [None, "z"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("items.xlsx", b"PK", r"items\.xlsx is of an unknown file format\. Readable are Parquet"),
        ("items", b"item_id\n1\n", "unknown file format"),
        ("items.parquet", b"item_id\n1\n", "is not a Parquet file, though its name says so"),
        ("items.parquet", b"PAR1 and then nothing", "is not a readable Parquet file"),
        ("items.csv.gz", b"item_id\n1\n", "is a broken gzip file"),
        ("items.csv.gz", gzip.compress(CSV.encode(), mtime=0)[:-12], "is a broken gzip file"),
        ("items.csv", b"a,b\n1,2\n3\n", r"items\.csv row 2 \(line 3\): 1 fields came, the header has 2"),
        ("items.csv", b'a,b\n"1\n\n",2\n3,4,5\n', r"row 2 \(line 5\): 3 fields came"),
        ("items.csv", b'a,b\n1,"x" y\n', "line 2: the quoting is broken"),
        ("items.csv", b'a,b\n1,"x\n', "the quoting is broken"),
        ("items.csv", b"a,a\n1,2\n", "the column a comes twice"),
        ("items.csv", b"a;b\n1;2\n", "holds no comma"),
        ("items.csv", b"", r"items\.csv is an empty table"),
        ("items.csv", b"item_id,title\n", r"items\.csv is an empty table"),
        ("items.jsonl", b"\n\n", r"items\.jsonl is an empty table"),
        ("items.csv", b"a,b\n1,2\n3,caf\xe9\n", r"items\.csv line 3: byte 0xe9 at place 6 has another encoding"),
        ("items.csv", "a,b\n1,2\n".encode("utf-16"), "encoded in UTF-16"),
        ("items.jsonl", b'{"a": 1}\n{"a": }\n', r"items\.jsonl row 2: not valid JSON"),
        ("items.jsonl", b'{"a": 1}\n[1]\n', r"row 2: a JSON object was expected, '\[1\]' came"),
        ("items.json", b"[1, 2]", "row 1: a JSON object was expected"),
        ("items.json", b"[{]", "is not valid JSON"),
        ("items.jsonl", b'{"a": "x"}\n{"a": "\\ud83d"}\n', "row 2: a holds half a character"),
    ],
)
def test_a_fault_is_one_line_with_its_place(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_an_empty_parquet_table(tmp_path):
    pl.DataFrame({"item_id": []}, schema={"item_id": pl.String}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(InputError, match="is an empty table"):
        read_table(tmp_path / "items.parquet")


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)
