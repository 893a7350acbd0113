import gzip
from pathlib import Path

import polars as pl
import pytest

from kuapin.cli.tables import check_suffix, read_user_ids, write_table
from kuapin.errors import InputError


def test_one_id_a_line_taken_as_it_stands_each_once(tmp_path):
    path = tmp_path / "users.txt"
    path.write_bytes("\ufeffu 1 \r\nü\n\nu 1 \n#3\nlast".encode())
    assert read_user_ids(path) == ["u 1 ", "ü", "#3", "last"]


@pytest.mark.parametrize("name", ["users.parquet", "users.jsonl", "users.csv", "users.csv.gz"])
def test_tables_with_a_column_user_id(tmp_path, name):
    table = pl.DataFrame({"age": [1, 2, 3], "user_id": ["u1", "007", "u1"]})
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(table.write_csv().encode()))
    else:
        {"parquet": table.write_parquet, "jsonl": table.write_ndjson, "csv": table.write_csv}[name.split(".")[1]](path)
    assert read_user_ids(path) == ["u1", "007"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("u.txt", b"", r"has no user ids\. Write one id a line\."),
        ("u.txt", b"a\n\xff\n", r"u\.txt row 2: not UTF-8"),
        ("u.txt", b"a\n\0PAR1\n", r"u\.txt row 2: holds a NUL"),
        ("u.csv", b"id\na\n", r"u\.csv has no column user_id; it has id\. Rename"),
        ("u.jsonl", b'{"user_id": "a"}\n{"user_id": null}\n', r"u\.jsonl row 2: user_id is missing"),
    ],
)
def test_a_wrong_file_of_users(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_user_ids(tmp_path / name)


def test_a_missing_file_of_users(tmp_path):
    with pytest.raises(InputError, match=r"users\.txt: cannot be read"):
        read_user_ids(tmp_path / "users.txt")


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_the_suffix_chooses_the_format_and_nothing_is_left_beside(tmp_path, suffix):
    table = pl.DataFrame({"user_id": ["a", "b,\n"], "rank": [1, 2]})
    path = tmp_path / f"out.{suffix}"
    path.write_text("old")
    write_table(table, path)
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[suffix](path)
    assert read.equals(table)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    nested = pl.DataFrame({"a": [[1, 2]]})  # CSV cannot hold lists
    with pytest.raises(pl.exceptions.ComputeError, match="nested"):
        write_table(nested, path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_an_unknown_suffix():
    with pytest.raises(InputError, match=r"out\.xls: the output must end in one of \.parquet, \.csv, \.jsonl"):
        check_suffix(Path("out.xls"))
