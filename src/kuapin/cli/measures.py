"""What training measured of a release, in a few words."""

from collections.abc import Mapping

from kuapin.counts import counted

QUALITY = "ndcg@10"
SIMPLE = ("popularity", "repeat")
"""Simple methods that training measures beside the ranker; ``kuapin evaluate`` has more of them."""
USERS = "held_out_users"

Metrics = Mapping[str, float | None]


def best_simple(metrics: Metrics) -> tuple[str, float] | None:
    """The simple method of the best NDCG@10 with that figure; ``None`` where none was measured."""
    measured = {name: metrics.get(f"{QUALITY}.{name}") for name in SIMPLE}
    known = {name: value for name, value in measured.items() if value is not None}
    return max(known.items(), key=lambda one: one[1]) if known else None


def told(metrics: Metrics) -> str | None:
    """The ranker against the best simple method, in a sentence; ``None`` where training measured too little."""
    ours, simple, users = metrics.get(QUALITY), best_simple(metrics), metrics.get(USERS)
    if ours is None or simple is None or users is None:
        return None
    name, theirs = simple
    names = {"repeat": "repeating what the user had before"}
    return (
        f"On {counted(round(users), 'held-out user')} NDCG@10 is {ours:.4f}; {names.get(name, name)}, the best of the "
        f"simple methods measured in training, has {theirs:.4f}."
    )
