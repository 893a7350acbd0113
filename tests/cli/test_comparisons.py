from kuapin.cli.comparisons import say_report
from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.report import Comparison, Data, Method, Report

NONE = float("nan")


def test_a_report_is_tables_findings_and_a_headline(capsys):
    results = {
        "popularity": {"ndcg@10": Interval(0.02, 0.015, 0.025), "coverage@10": Interval(0.001, NONE, NONE)},
        "Kuapin": {
            "ndcg@10": Interval(0.03, 0.025, 0.035),
            "novelty@10": Interval(5, 4, 6),
            "coverage@10": Interval(0.31, NONE, NONE),
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
    assert [cell.strip() for cell in head if cell.strip()] == ["method", "NDCG@10", "95 % interval", "Coverage@10"]
    assert [cell.strip() for cell in first if cell.strip()] == ["Kuapin", "0.0300", "0.0250 – 0.0350", "31.0 %"]
    assert [cell.strip() for cell in second if cell.strip()] == ["popularity", "0.0200", "0.0150 – 0.0250", "0.1 %"]
    assert lines[6] == "Kuapin to the best baseline, popularity: 1.50 × (1.30 – 1.70)"
    assert lines[8].startswith("Opening Office: Helps.")
    assert lines[9] == "Kuapin ranks better than the best simple method in the test."
