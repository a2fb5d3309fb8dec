"""No handler walks the page or asks for its layout: what a click costs does not grow with the page."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import Page

from tests.sdk.stage import RealCollector, StaticSite, serve_builds, tag
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNTED = """(() => {
  window.counts = {};
  const count = (name) => { counts[name] = (counts[name] ?? 0) + 1; };
  for (const type of [Node, Element, HTMLElement, Document, DocumentFragment, Window]) {
    const host = type === Window ? window : type.prototype;
    for (const [name, { value, get, set }] of Object.entries(Object.getOwnPropertyDescriptors(host))) {
      const looks = /^(closest|matches|query|getElement|getAttribute|getRootNode|getComputedStyle|contains|compare|evaluate|create(Tree|Node|Range))/;
      const reads = /^(textContent|innerText|outerHTML|innerHTML|child|firstChild|lastChild|first|last|next|previous|parent|offset|client|scroll[LTWH])/;
      if (typeof value === "function" && (looks.test(name) || /ClientRect|elementFromPoint|elementsFromPoint|checkVisibility/.test(name))) {
        host[name] = function (...args) { count(`${type.name}.${name}`); return value.apply(this, args); };
      } else if (get && type !== Window && reads.test(name)) {
        Object.defineProperty(host, name, { get() { count(`${type.name}.${name}`); return get.call(this); }, set, configurable: true });
      }
    }
  }
})();"""  # noqa: E501
"""Counts what the page's scripts ask of the DOM."""

WALKS = (
    "Document.query", "Document.getElements", "Document.create", "Document.evaluate", "Element.getElements",
    "Node.child", "Node.first", "Node.last", "Node.next", "Node.previous", "Element.child", "Element.next",
    "Element.first", "Element.last", "Element.previous", "HTMLElement.innerText", "Element.innerHTML",
    "Element.outerHTML",
)  # fmt: skip
LAYOUTS = ("getComputedStyle", "ClientRect", ".offset", ".client", ".scroll", "FromPoint", "innerText", "Visibility")
BIG: Final = 50_000
BIG_PAGE: Final = """<!doctype html><title>Page</title>{head}<body><button id="add" onclick="later()"><b>Add</b>
</button><div id="filler"></div><script>
const made = (_, n) => Object.assign(document.createElement("p"), {{ title: n }});
filler.append(...Array.from({{ length: {nodes} }}, made));
function later() {{ document.body.append(document.createElement("section")); }}
</script></body>"""


def asked_of_the_dom(page: Page, site: StaticSite, collector: RealCollector, nodes: int) -> dict[str, int]:
    """What one click asks of a page's DOM, from the pointer's coming to what the click has changed being looked at."""
    serve_builds(site)
    address = site.put("/page", BIG_PAGE.format(head=tag("minified", collector.url), nodes=nodes))
    visit = Visit(page, collector, address)
    # NOTE: timers of a page go off in their order, so this one comes after the look at what the parser has brought.
    last_look = "new Promise((done) => setTimeout(done, 400))"
    page.evaluate(last_look)
    page.evaluate("window.counts = {}")
    page.mouse.move(20, 20)
    page.mouse.down()
    page.mouse.up()
    visit.wait_for("button_clicked")
    page.evaluate(last_look)
    found: dict[str, int] = page.evaluate("counts")
    assert page.evaluate("document.querySelectorAll('section').length") == 1
    return found


def test_a_click_costs_a_page_of_fifty_thousand_elements_no_more_than_a_small_one(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    page.add_init_script(COUNTED)
    small = asked_of_the_dom(page, site, collector, 10)
    page.goto("about:blank")
    big = asked_of_the_dom(page, site, collector, BIG)
    assert "Element.closest" in big, "nothing was counted"
    assert [name for name in big if name.startswith(WALKS)] == []
    assert [name for name in big if any(word in name for word in LAYOUTS)] == []
    assert sum(big.values()) <= max(sum(small.values()), 100)
