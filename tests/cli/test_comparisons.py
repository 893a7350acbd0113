from kuapin.cli.comparisons import say_report
from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.report import Comparison, Data, Method, Report

NONE = float("nan")


def test_a_report_is_tables_findings_and_a_headline(capsys):
    results = {
        "popularity": {"ndcg@10": Interval(0.02, 0.015, 0.025), "hit_rate@10": Interval(0.001, NONE, NONE)},
        "Kuapin": {
            "ndcg@10": Interval(0.03, 0.025, 0.035),
            "novelty@10": Interval(5, 4, 6),
            "hit_rate@10": Interval(0.31, NONE, NONE),
        },
    }
    comparison = Comparison(
        "Office",
        "Rank.",
        "launch",
        "ndcg@10",
        2000,
        19757,
        results,
        "Kuapin",
        "popularity",
        Interval(1.5, 1.3, 1.7),
        0.01,
    )
    methods = (Method("Kuapin", "model"), Method("popularity", "popularity"))
    say_report(
        Report("t", "2026", data=Data("Made up", caveat="For tests."), methods=methods, comparisons=(comparison,))
    )
    lines = [line.rstrip() for line in capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ").splitlines()]
    assert lines[0] == "Made up: For tests."
    assert lines[2] == "Office, shot level 1 %: 2,000 users, 19,757 items ranked"
    head, first, second = (line.split("  ") for line in lines[3:6])
    assert [cell.strip() for cell in head if cell.strip()] == ["method", "NDCG@10", "95 % interval", "Hit rate@10"]
    assert [cell.strip() for cell in first if cell.strip()] == ["Kuapin", "0.0300", "0.0250 – 0.0350", "31.0 %"]
    assert [cell.strip() for cell in second if cell.strip()] == ["popularity", "0.0200", "0.0150 – 0.0250", "0.1 %"]
    assert lines[6] == "Kuapin to the best baseline, popularity: 1.50 × (1.30 – 1.70)"
    assert lines[8].startswith("Opening Office: Helps.")
    assert lines[9] == "Kuapin ranks better than the best simple method in the test."


def test_categories_and_parts_are_one_line_each(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")

    def part(title, best):
        results = {name: {"ndcg@10": Interval(v, 0.0, 1.0)} for name, v in {"Kuapin": 0.2, best: 0.1}.items()}
        ratio = Interval(2.0, 1.5, 2.5)
        return Comparison(title, "?", "temporal", "ndcg@10", 77, 9, results, "Kuapin", best, ratio)

    categories = (part("Drug store, health and personal care", "popularity, 30 days"), part("Deli", "item-kNN"))
    say_report(Report("t", "2026", categories=categories, slices=(part("Items: cold", "frozen text"),)))
    lines = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert max(map(len, lines)) <= 80
    told = [" ".join(line.split()) for line in lines if line.strip()]
    assert told[0] == "NDCG@10 by category, answers new to the user"
    assert told[1] == "category users Kuapin best baseline its value ratio"
    assert told[2].startswith("Drug store")
    assert "…" in told[2]
    assert told[3] == "Deli 77 0.2000 item-kNN 0.1000 2.00 × (1.50 – 2.50)"
    assert told[4] == "NDCG@10 by part, answers new to the user"
    assert told[6] == "Items: cold 77 0.2000 frozen text 0.1000 2.00 × (1.50 – 2.50)"
