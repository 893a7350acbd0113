import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from kuapin.encoding.tokens import TokenBatches, read_tokenizer, write_tokenizer
from kuapin.errors import InputError, ModelFolderError


@pytest.fixture
def tokens(tmp_path):
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(length=50)  # as some backbones' files ask for: it must not happen
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return TokenBatches(tmp_path / "tokenizer.json", max_length=4, pad_id=0)


def test_batches_by_hand(tokens):
    batches = list(tokens.batches(["a", "a b a", "b b", "a a a a a a", ""], token_budget=6))
    assert [batch.rows.tolist() for batch in batches] == [[3], [1, 2], [0, 4]]
    assert batches[0].inputs["input_ids"].tolist() == [[2, 2, 2, 2]]  # cut at four tokens
    assert batches[1].inputs["input_ids"].tolist() == [[2, 3, 2], [3, 3, 0]]
    assert batches[1].inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_no_batch_is_over_the_budget_unless_one_text_is(tokens):
    texts = ["a " * (n % 5) for n in range(40)]
    batches = list(tokens.batches(texts, token_budget=10))
    assert all(batch.inputs["input_ids"].size <= 10 for batch in batches)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(40))
    assert [batch.inputs["input_ids"].size for batch in tokens.batches(["a a a a"], token_budget=1)] == [4]


def test_the_share_of_what_the_vocabulary_lacks(tokens):
    assert tokens.unknown_share(["a b", "a x"]) == 0.25
    assert tokens.unknown_share([]) == 0


def test_no_tokenizer(tmp_path):
    with pytest.raises(ModelFolderError, match="this is not a tokenizer"):
        TokenBatches(tmp_path / "tokenizer.json", 4, 0)


def test_a_backbones_tokenizer_that_is_cut_short(tokens, tmp_path):
    pytest.importorskip("transformers")
    file = tmp_path / "tokenizer.json"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(InputError, match=r"tokenizer\.json: this is not a tokenizer .* Fetch the backbone again"):
        write_tokenizer(tmp_path, tmp_path / "new.json")
    with pytest.raises(
        InputError, match=r"its tokenizer cannot be read \(JSONDecodeError: .* Fetch the backbone again"
    ):
        read_tokenizer(tmp_path)
