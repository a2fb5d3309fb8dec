"""What shop systems push into their layers, each told once and rightly, whatever takes the place of a layer."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.sdk.stage import RealCollector, StaticSite, serve_builds, tag
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = "<!doctype html><html><head><title>Shop</title>{head}</head><body><p>Shop</p></body></html>"
Line = tuple[str, float | None, str]
"""An event's sku, value and order."""

LINES = [{"item_id": "r", "item_name": "Run", "price": 20, "quantity": 2}, None, {"item_id": "t", "price": "19,90 €"}]
OLDER = [{"id": "r", "name": "Run", "price": "20", "quantity": 2}, {"id": 7, "name": "Trail", "price": "1.234,50"}]
BOUGHT: list[Line] = [("r", 40, "7"), ("t", 19.9, "7")]

SYSTEMS: dict[str, tuple[str, list[Any], list[Line]]] = {
    "GA4": ("dataLayer", [{"event": "purchase", "ecommerce": {"transaction_id": 7, "items": LINES}}], BOUGHT),
    "GA4, items as an object": (
        "dataLayer",
        [{"event": "purchase", "ecommerce": {"transaction_id": "7", "items": {"a": LINES[0], "b": LINES[2]}}}],
        BOUGHT,
    ),
    "GA4, flat": ("dataLayer", [{"event": "purchase", "transaction_id": "7", "items": LINES}], BOUGHT),
    "GA4, ecommerce before its event": (
        "dataLayer",
        [{"ecommerce": None}, {"ecommerce": {"transaction_id": "7", "items": LINES}}, {"event": "purchase"},
         {"event": "purchase"}],
        BOUGHT,
    ),
    "GA4, basket": ("dataLayer", [{"event": "add_to_cart", "ecommerce": {"items": LINES[:1]}}], [("r", 40, "")]),
    "GA4, no price": (
        "dataLayer",
        [{"event": "purchase", "ecommerce": {"transaction_id": "8", "value": "79,50", "items": [{"item_id": "r"}]}}],
        [("r", 79.5, "8")],
    ),
    "enhanced ecommerce, purchase": (
        "dataLayer",
        [{"ecommerce": {"purchase": {"actionField": {"id": "7", "revenue": "1274.5"}, "products": OLDER}}}],
        [("r", 40, "7"), ("7", 1234.5, "7")],
    ),
    "enhanced ecommerce, basket": (
        "dataLayer",
        [{"event": "addToCart", "ecommerce": {"currencyCode": "EUR", "add": {"products": OLDER[:1]}}}],
        [("r", 40, "")],
    ),
    "Elevar": (
        "dataLayer",
        [{"event": "dl_add_to_cart", "event_id": "e1", "ecommerce": {"add": {"products": OLDER[:1]}}},
         {"event": "dl_purchase", "event_id": "e2",
          "ecommerce": {"purchase": {"actionField": {"id": "7", "revenue": "40"}, "products": OLDER[:1]}}}],
        [("r", 40, ""), ("r", 40, "7")],
    ),
    "MagePal": (
        "dataLayer",
        [{"event": "gtm.orderComplete", "transactionId": "7", "transactionTotal": 40,
          "transactionProducts": [{"sku": "r", "name": "Run", "price": "20.0000", "quantity": 2}]}],
        [("r", 40, "7")],
    ),
    "Adobe, XDM": (
        "adobeDataLayer",
        [{"event": "purchase.complete", "commerce": {"purchases": {"value": 1}, "order": {"purchaseID": "7"}},
          "productListItems": [{"SKU": "r", "name": "Run", "quantity": 2, "priceTotal": 40}]},
         {"event": "basket.add", "commerce": {"productListAdds": {"value": 1}},
          "productListItems": [{"SKU": "t", "quantity": 1, "priceTotal": 19.9}]}],
        [("r", 40, "7"), ("t", 19.9, "")],
    ),
    "Adobe Commerce, events of the storefront": (
        "adobeDataLayer",
        [{"event": "place-order", "eventInfo": {
            "orderContext": {"orderId": "7", "grandTotal": 40},
            "shoppingCartContext": {"items": [
                {"product": {"sku": "r", "name": "Run"}, "quantity": 2, "prices": {"price": {"value": 20}}}]}}}],
        [("r", 40, "7")],
    ),
    "Adobe Commerce, flat": (
        "adobeDataLayer",
        [{"event": "purchase", "orderId": "7", "products": [{"sku": "r", "name": "Run", "price": 20, "quantity": 2}]}],
        [("r", 40, "7")],
    ),
    "two styles, one order": (
        "dataLayer",
        [{"event": "purchase", "ecommerce": {"transaction_id": "7", "items": LINES}},
         {"event": "purchase", "ecommerce": {"transaction_id": "7", "items": [{"id": "r", "name": "Run"}]}},
         {"ecommerce": {"purchase": {"actionField": {"id": "7"}, "products": OLDER}}}],
        BOUGHT,
    ),
    "two lines of one product": (
        "dataLayer",
        [{"event": "purchase", "ecommerce": {"transaction_id": "7", "items": [
            {"item_id": "r", "price": 20}, {"item_id": "r", "price": 80}]}}] * 2,
        [("r", 20, "7"), ("r", 80, "7")],
    ),
    "names alone": (
        "dataLayer",
        [{"event": "purchase", "ecommerce": {"transaction_id": "T-" + "7" * 70, "items": [
            {"item_name": name} for name in ("靴", "鞄", "帽子")]}}],
        [("靴", None, "T-" + "7" * 70), ("鞄", None, "T-" + "7" * 70), ("帽子", None, "T-" + "7" * 70)],
    ),
    "a layer of another name": (
        "shopLayer", [{"event": "purchase", "ecommerce": {"transaction_id": "7", "items": LINES}}], BOUGHT,
    ),
    "nonsense": (
        "dataLayer",
        [None, 7, "purchase", [], {"event": "purchase"}, {"event": {"purchase": 1}}, {"event": "view_item",
         "ecommerce": {"items": LINES}}, {"event": "purchase", "ecommerce": {"items": "all"}},
         {"event": "remove_from_cart", "ecommerce": {"remove": {"products": OLDER}}}],
        [],
    ),
}  # fmt: skip


def put(site: StaticSite, collector: str, *, before: str = "", after: str = "") -> str:
    serve_builds(site)
    script = tag("minified", collector, 'data-layers="dataLayer adobeDataLayer shopLayer"')
    return site.put("/shop", PAGE.format(head=before + script + after))


def lines(visit: Visit) -> list[Line]:
    found = sorted(visit.mine(), key=lambda each: each.event.order)
    return [
        (properties["sku"], properties.get("value"), properties.get("order_id", ""))
        for properties in (each.event.properties for each in found if each.action.startswith("product_"))
    ]


def test_each_shop_system_is_told_once_and_rightly(page: Page, site: StaticSite, collector: RealCollector) -> None:
    address = put(site, collector.url)
    for name, (layer, entries, wanted) in SYSTEMS.items():
        visit = Visit(page, collector, address)
        page.evaluate("([name, entries]) => { (window[name] ||= []).push(...entries); }", [layer, entries])
        visit.told("all_told")
        assert lines(visit) == wanted, name
        page.evaluate("localStorage.clear()")
        page.goto("about:blank")


REPLACED = {
    "as Google's snippet has it, before": (
        "<script>window.dataLayer = window.dataLayer || [];</script>", "dataLayer.push(SALE);"),
    "by a list that has it already": ("", "dataLayer = [SALE];"),
    "by var": ("", "var dataLayer = []; dataLayer.push(SALE);"),
    "after a var": ("<script>var dataLayer = [];</script>", "dataLayer = [SALE];"),
    "push exchanged": (
        "", "{ const push = dataLayer.push; dataLayer.push = function () { return push.apply(this, arguments); }; }"
        "dataLayer.push(SALE);"),
    "push exchanged by one that adds nothing": ("", "dataLayer.push = () => 0; dataLayer.push(SALE);"),
    "push exchanged before": (
        "<script>dataLayer = []; dataLayer.push = function () { return [].push.apply(this, arguments); };</script>",
        "dataLayer.push(SALE);"),
    "push of the prototype": ("", "Array.prototype.push.call(dataLayer, SALE);"),
    "a longer copy": ("", "dataLayer = dataLayer.concat([SALE]);"),
    "frozen push": (
        "<script>dataLayer = []; Object.defineProperty(dataLayer, 'push', {value: Array.prototype.push});</script>",
        "dataLayer.push(SALE);"),
    "gtag": ("", "function gtag() { dataLayer.push(arguments); } gtag('event', 'purchase', SALE.ecommerce);"),
}  # fmt: skip


def test_a_push_is_heard_once_whatever_takes_the_place_of_the_layer(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    sale = "{event: 'purchase', ecommerce: {transaction_id: 'ORDER', items: [{item_id: 'r', price: 5}]}}"
    for at, (name, (before, code)) in enumerate(REPLACED.items()):
        after = f"<script>{code.replace('SALE', sale)}</script>".replace("ORDER", f"{at}")
        visit = Visit(page, collector, put(site, collector.url, before=before, after=after))
        visit.wait_for("product_bought")
        page.goto("about:blank")
        collector.wait_for(lambda stored: any(each.action == "page_closed" for each in stored))
        assert lines(visit) == [("r", 5, f"{at}")], name
        collector.forget()


def test_all_lines_of_a_long_order_are_told(page: Page, site: StaticSite, collector: RealCollector) -> None:
    visit = Visit(page, collector, put(site, collector.url))
    items = [{"item_id": f"r{n}", "price": n} for n in range(150)]
    page.evaluate("(items) => dataLayer.push({event: 'purchase', ecommerce: {transaction_id: 'long', items}})", items)
    assert len({each.event.event_id for each in visit.wait_for("product_bought", 150)}) == 150


THANKS = """<script>
const told = (sku, value) => segma.track("product_bought", { sku, value, order_id: 7 });
told("r", 20); told("r", "80,00"); told("t", 5); told("t", 5);
</script>"""


def test_an_order_that_the_page_tells_itself_counts_once_however_often_it_is_loaded(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    def ids() -> set[str]:
        return {each.event.event_id for each in visit.of("product_bought")}

    visit = Visit(page, collector, put(site, collector.url, after=THANKS))
    visit.told("first_loading")
    assert len(ids()) == 3, "two variants of one product, and another product that was told twice"
    page.reload()
    visit.wait_for("page_loaded", 2)
    sale = {"event": "purchase", "ecommerce": {"transaction_id": "7", "items": [{"item_id": "r", "price": 20}]}}
    page.evaluate("(sale) => dataLayer.push(sale)", sale)
    visit.told("second_loading")
    assert len(ids()) == 3, "the same order, also by the layer"
    page.evaluate("for (let n = 0; n < 80; n += 1) segma.track('product_bought', { sku: `s${n}`, order_id: 'long' })")
    visit.told("long_order")
    assert len(ids()) == 83
