"""Signs of how the service is: the conditions of ``operations/alerts.yml``, over all the time since it started."""

from dataclasses import dataclass

from kuapin.serving.console.figures import Figures

ERRORS, REFUSALS, SLOW_S, DISK, FALLBACKS, LATE_S, ALIKE_BITS, BLOCKED, DRIFT, OLD_DAYS = BOUNDS = (
    0.01, 0.05, 0.25, 0.1, 0.5, 900, 0.3, 0.05, 0.25, 60,
)  # fmt: skip
"""From where on an alert fires."""
LISTS = ".*recommendations"
DAY = 86_400


@dataclass(frozen=True)
class Sign:
    """One sign.

    Attributes:
        name: of its phrases.
        alert: that watches the same.
        fine: whether it is as it should be; also where nothing is known yet.
        value: the figure; ``None``: nothing is known yet, or it is yes or no.
        unit: ``share``, ``seconds``, ``days``, ``bits``, ``index``, or empty for yes or no.
    """

    name: str
    alert: str
    fine: bool
    value: float | None = None
    unit: str = ""


def signs(figures: Figures, now: float) -> list[Sign]:
    """Every sign, those that wake somebody first.

    Args:
        figures: of the service.
        now: unix seconds.
    """
    made = figures.highest("kuapin_release_created_timestamp_seconds")
    known, blocked = (figures.sum("kuapin_items", state=state) for state in ("known", "blocked"))
    lists = figures.sum("kuapin_list_entropy_bits_count")
    products = figures.sum("kuapin_lists_total", surface="products")
    popular = figures.sum("kuapin_lists_total", surface="products", basis=".*_popular")
    refused = figures.share("kuapin_refusals_total", of="kuapin_requests_total", reason="overloaded|deadline")
    return [
        Sign("store", "KuapinStoreDown", figures.sum("kuapin_store_up") > 0),
        Sign("release", "KuapinReleaseBehind", not figures.sum("kuapin_release_behind")),
        _above("errors", "KuapinErrors", figures.share("kuapin_requests_total", status="500"), ERRORS, "share"),
        _above("refused", "KuapinRefuses", refused, REFUSALS, "share"),
        _above("slow", "KuapinSlow", figures.quantile("kuapin_request_seconds", 0.99, route=LISTS), SLOW_S, "seconds"),
        _below("disk", "KuapinDiskFull", figures.highest("kuapin_disk_free_share"), DISK, "share"),
        _above("fallbacks", "KuapinFallbacks", popular / products if products else None, FALLBACKS, "share"),
        _above("late", "KuapinEventsLate", figures.quantile("kuapin_event_lag_seconds", 0.5), LATE_S, "seconds"),
        _below(
            "alike",
            "KuapinListsAlike",
            figures.sum("kuapin_list_entropy_bits_sum") / lists if lists else None,
            ALIKE_BITS,
            "bits",
        ),
        _above("blocked", "KuapinItemsBlocked", blocked / known if known else None, BLOCKED, "share"),
        _above("drift", "KuapinDrift", figures.highest("kuapin_drift_index"), DRIFT, "index"),
        Sign("refreshes", "KuapinRefreshFailed", not figures.sum("kuapin_refreshes_total", result="failed")),
        _above("age", "KuapinReleaseOld", (now - made) / DAY if made else None, OLD_DAYS, "days"),
    ]


def _above(name: str, alert: str, value: float | None, bound: float, unit: str) -> Sign:
    return Sign(name, alert, value is None or value <= bound, value, unit)


def _below(name: str, alert: str, value: float | None, bound: float, unit: str) -> Sign:
    return Sign(name, alert, value is None or value >= bound, value, unit)
