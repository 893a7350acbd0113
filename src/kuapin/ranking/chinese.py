"""The sentences of ``phrases.py`` in Chinese."""

from collections.abc import Sequence
from datetime import date, datetime

from kuapin.counts import share


class Chinese:
    """Chinese sentences."""

    done = {  # noqa: RUF012
        "view": "浏览",
        "click": "点击",
        "cart": "加购",
        "purchase": "购买",
        "favourite": "收藏",
        "share": "分享",
        "rating": "打分",
        "review": "评价",
        "redeem": "兑换",
    }
    ways = {  # noqa: RUF012
        "brand": "品牌",
        "category": "类目",
        "compatible_with": "可配套使用",
        "part_of": "同属一套",
        "accessory_of": "配件",
        "goes_with": "搭配",
        "substitute_of": "可互相替代",
    }

    def repeat(self, event: str, n: int) -> str:
        """您曾购买2次 (in Chinese)."""
        return f"您曾{self._did(event)}{n}次"

    def brand(self, brand: str, n: int) -> str:
        """品牌“Ada”，您接触过该品牌的另外1件商品 (in Chinese)."""
        return f"品牌“{brand}”，您接触过该品牌的另外{n}件商品"

    def similar(self, title: str | None, event: str) -> str:
        """与您购买过的“玫瑰皂”相似 (in Chinese)."""
        return "与您接触过的商品相似" if title is None else f"与您{self._did(event)}过的“{title}”相似"

    def together(self, title: str | None, event: str) -> str:
        """选择您购买过的“玫瑰皂”的人也选择了它 (in Chinese)."""
        if title is None:
            return "选择您的商品的人也选择了它"
        return f"选择您{self._did(event)}过的“{title}”的人也选择了它"

    def next(self, title: str | None, event: str) -> str:
        """您购买过“玫瑰皂”，许多人随后选择了它 (in Chinese)."""
        if title is None:
            return "根据您近来的选择，接下来常会选择它"
        return f"您{self._did(event)}过“{title}”，许多人随后选择了它"

    def category(self, leaf: str, beside: str | None, n: int) -> str:
        """来自“美妆 > 香皂”，常与“家居 > 蜡烛”搭配 (in Chinese)."""
        why = f"，常与“{beside}”搭配" if beside is not None else f"，您接触过其中另外{n}件商品" if n else ""
        return f"来自“{leaf}”{why}"

    def path(self, kind: str | None, thing: str | None, title: str | None, event: str) -> str:
        """与您购买过的“玫瑰皂”相关：socket E27 (in Chinese)."""
        of = "您接触过的商品" if title is None else f"您{self._did(event)}过的“{title}”"
        way = (
            ""
            if kind is None or title is None
            else f"：{self.ways.get(kind, kind.replace('_', ' '))}" + (f" {thing}" if thing else "")
        )
        return f"与{of}相关{way}"

    def both(self, title: str, other: str, more: int) -> str:
        """玫瑰皂”、“橡木灯 (in Chinese, to stand between quotation marks; how many more is not said)."""
        return f"{title}”、“{other}"

    def taste(self, title: str | None, event: str) -> str:
        """喜欢您购买过的“玫瑰皂”这类商品的人选择了它 (in Chinese)."""
        if title is None:
            return "与您喜好相近的人选择了它"
        return f"喜欢您{self._did(event)}过的“{title}”这类商品的人选择了它"

    def popular(self, n: int) -> str:
        """已有12人选择 (in Chinese)."""
        return f"已有{n}人选择"

    def new(self) -> str:
        """新品，上次训练时尚无人选择 (in Chinese)."""
        return "新品，上次训练时尚无人选择"

    def rule(self, name: str) -> str:
        """按店铺规则“春季”展示 (in Chinese)."""
        return f"按店铺规则“{name}”展示"

    def goes_with(self, title: str) -> str:
        """店铺指定与“玫瑰皂”搭配 (in Chinese)."""
        return f"店铺指定与“{title}”搭配"

    def bought_with(self, title: str, lift: float | None) -> str:
        """常与“玫瑰皂”一起购买，概率是随机情况的2.5倍 (in Chinese)."""
        return f"常与“{title}”一起购买" + ("" if lift is None else f"，概率是随机情况的{lift:.1f}倍")

    def shelves(self, leaf: str, other: str) -> str:
        """“家居 > 蜡烛”常与“美妆 > 香皂”一起购买 (in Chinese)."""
        return f"“{leaf}”常与“{other}”一起购买"

    def reads_with(self, title: str) -> str:
        """同类商品常与“玫瑰皂”这类商品一起购买 (in Chinese)."""
        return f"同类商品常与“{title}”这类商品一起购买"

    def baskets(self, n: int) -> str:
        """共有12笔订单购买 (in Chinese)."""
        return f"共有{n}笔订单购买"

    def also(self, brand: str | None, leaf: str | None) -> str:
        """同品牌“Ada”，同类目“美妆 > 香皂” (in Chinese)."""
        said = [f"同品牌“{brand}”"] * (brand is not None) + [f"同类目“{leaf}”"] * (leaf is not None)
        return "，".join(said)

    def same_words(self, words: Sequence[str]) -> str:
        """标题中都有“玫瑰”、“香皂” (in Chinese)."""
        return f"标题中都有{'、'.join(f'“{word}”' for word in words)}"

    def same_people(self) -> str:
        """同一批顾客也选择了它 (in Chinese)."""
        return "同一批顾客也选择了它"

    def alike(self) -> str:
        """商品描述相近 (in Chinese)."""
        return "商品描述相近"

    def offer_bought(self, items: int, times: int) -> str:
        """您购买过其中2件商品，共10次 (in Chinese)."""
        return f"您购买过其中{items}件商品，共{times}次"

    def offer_shelves(self) -> str:
        """适用于您常买的类目 (in Chinese)."""
        return "适用于您常买的类目"

    def offer_brands(self) -> str:
        """适用于您常买的品牌 (in Chinese)."""
        return "适用于您常买的品牌"

    def offers_used(self, n: int) -> str:
        """您使用过3次优惠 (in Chinese)."""
        return f"您使用过{n}次优惠"

    def offer(self, title: str | None) -> str:
        """玫瑰特惠 (in Chinese)."""
        return title or "所有顾客均可使用"

    def until(self, said: str, day: date) -> str:
        """玫瑰特惠，2026年11月29日截止 (in Chinese)."""
        return f"{said}，{day.year}年{day.month}月{day.day}日截止"

    def growth(self, ratio: float, low: float, high: float, weeks: int) -> str:
        """热度为预期的2.5倍（1.9至3.1倍），已持续3周 (in Chinese)."""
        begun = f"，已持续{weeks}周" if weeks else ""
        return f"热度为预期的{ratio:.1f}倍（{low:.1f}至{high:.1f}倍）{begun}"

    def level(self, third: int, said: str) -> str:
        """低价位：17次互动中有10次 (in Chinese)."""
        return f"{('低价位', '中价位', '高价位')[third]}：{said}"

    def gap(self, days: float) -> str:
        """每10天一次 (in Chinese)."""
        return "每天一次" if days == 1 else f"每{days:g}天一次"

    def of_history(self, n: int, total: int, usual: float) -> str:
        """17次互动中有10次（59%），全店平均为6.1% (in Chinese)."""
        return f"{total}次互动中有{n}次（{n / total:.0%}），全店平均为{share(usual)}"

    def of_searches(self, n: int, total: int) -> str:
        """4次搜索中有3次 (in Chinese)."""
        return f"{total}次搜索中有{n}次"

    def latest(self, events: Sequence[str]) -> str:
        """；最近：b7（2026年3月1日 14:05）、b3（2026年2月11日 09:30） (in Chinese)."""
        return f"；最近：{'、'.join(events)}"

    def event(self, name: str, when: datetime) -> str:
        """b7（2026年3月1日 14:05） (in Chinese)."""
        return f"{name}（{when.year}年{when.month}月{when.day}日 {when:%H:%M}）"

    def gaps(self, usual: float, n: int, least: int, most: int) -> str:
        """每10天一次，取9次间隔（5至12天）的中位数 (in Chinese)."""
        return f"{self.gap(usual)}，取{n}次间隔（{least}至{most}天）的中位数"

    def due(self, n: int, gap: float, waited: float) -> str:
        """共有10天购买过，通常每10天一次，上次在9天前 (in Chinese)."""
        return f"共有{n}天购买过，通常{self.gap(gap)}，上次在{waited:g}天前"

    def _did(self, event: str) -> str:
        return self.done.get(event, "接触")
