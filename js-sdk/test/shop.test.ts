import assert from "node:assert/strict";
import { test } from "node:test";
import { shop } from "../src/features/shop";
import { settingsOf } from "../src/settings";
import type { Page, Told } from "../src/words";

type Entry = Record<string, unknown>;
type Layer = Entry[];
const host = globalThis as unknown as { window: unknown; dataLayer?: Layer; adobeDataLayer?: Layer };
host.window = globalThis;

const settings = settingsOf({ src: "https://c.example/sdk/segma.js", dataset: { site: "KEY" } });
assert.ok(settings);

/** A page with the shop's layers: what it has told, and what is looked at from time to time. */
function shopPage(): { told: Told[]; look: () => void; skus: () => unknown[] } {
  for (const name of ["dataLayer", "adobeDataLayer"]) Reflect.deleteProperty(globalThis, name);
  const told: Told[] = [];
  const looks: (() => void)[] = [];
  const { setInterval } = globalThis;
  globalThis.setInterval = ((task: () => void) => looks.push(task)) as unknown as typeof setInterval;
  const page = { settings, late: false, tell: (...each: Told) => void told.push(each), viewed() {}, leaving() {} };
  shop.start(page as unknown as Page);
  globalThis.setInterval = setInterval;
  return { told, look: () => looks.forEach((task) => task()), skus: () => told.map(([action, { sku }]) => `${action} ${sku as string}`) };
}

const items = [{ item_id: "r", price: 20 }];
const added = { event: "add_to_cart", ecommerce: { items } };
const layer = (): Layer => host.dataLayer as Layer;

test("a push is heard once: what replaces it may hand on copies, keep entries back, or say more by itself", () => {
  const { told, look } = shopPage();
  const first = layer().push;
  layer().push = (...entries) => first.apply(layer(), structuredClone(entries));
  layer().push(added);
  look();
  assert.equal(told.length, 1, "handed on as a copy");
  const second = layer().push;
  layer().push = (...entries) => {
    const count = second.apply(layer(), entries);
    if (entries[0]?.["event"] === "add_to_cart") layer().push({ event: "purchase", ecommerce: { transaction_id: "7", items } });
    return count;
  };
  layer().push({ ...added });
  look();
  assert.deepEqual(told.slice(1).map(([action]) => action), ["product_added", "product_bought"], "a tag that says more");
});

test("what is kept back until somebody agrees to another tool is heard once", () => {
  const { told, look } = shopPage();
  const { push } = layer();
  const waiting: Layer = [];
  layer().push = (entry) => waiting.push(entry as Entry);
  layer().push(added);
  waiting.forEach((entry) => push.call(layer(), entry));
  look();
  assert.equal(told.length, 1);
  push.call(layer(), added);
  assert.equal(told.length, 2, "one object, pushed again");
});

test("a layer that is defined anew is heard, and its push is one function", () => {
  const { told, look } = shopPage();
  Object.defineProperty(globalThis, "dataLayer", { value: [added], writable: true, configurable: true });
  look();
  layer().push({ ...added });
  assert.equal(told.length, 2);
  assert.equal(layer().push, layer().push);
});

test("what is told without an event is not told once more with the next event", () => {
  const { told } = shopPage();
  for (const entry of [{ ecommerce: { add: { products: [{ id: "r" }] } } }, { event: "addToCart" }, { event: "gtm.dom" }, { event: "purchase" }]) layer().push(entry);
  assert.equal(told.length, 1);
});

test("names of other things are no sale, and an empty list hides no full one", () => {
  const { told, skus } = shopPage();
  for (const event of ["wishlist.add", "compare:add", "add", "add_to_wishlist", "refund", "begin_purchase"]) layer().push({ event, ecommerce: { items } });
  assert.deepEqual(told, []);
  layer().push({ event: "purchase", ecommerce: { items: [], purchase: { actionField: { id: "7" }, products: [{ id: "t" }, {}, "x", null] } } });
  for (const event of ["scAdd", "gtm4wp.addToCart", "Add to Basket", "dl_add_to_cart"]) layer().push({ event, ecommerce: { items } });
  assert.deepEqual(skus(), ["product_bought t", ...Array.from({ length: 4 }, () => "product_added r")]);
});

test("of Adobe's events, which carry all that is known, the lines are those that changed, and an order's those of its basket", () => {
  const { skus } = shopPage();
  const line = (sku: string): Entry => ({ product: { sku, name: sku }, quantity: 1, prices: { price: { value: 5 } } });
  const eventInfo = {
    changedProductsContext: { items: [line("new")] },
    shoppingCartContext: { id: "basket", items: [line("old"), line("new")] },
    productContext: { sku: "seen", name: "Seen" },
  };
  host.adobeDataLayer = [{ event: "add-to-cart", eventInfo }];
  host.adobeDataLayer.push({ event: "place-order", eventInfo: { orderContext: { orderId: "7" }, ...eventInfo } });
  assert.deepEqual(skus(), ["product_added new", "product_bought old", "product_bought new"]);
});
