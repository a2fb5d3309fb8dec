import { globalOf } from "../globals";
import { numberOf } from "../products";
import { calm } from "../say";
import { table } from "../table";
import { jsonOf } from "../text";
import type { Feature, Page, Properties } from "../words";
import { told } from "./clicks";

type Said = Record<string, unknown>;

const ADDED = "product_added";
const BOUGHT = "product_bought";
/** Names of events, without prefixes, case and signs: `add_to_cart`, `dl_add_to_cart`, `addToCart`, `place-order`. */
const NAMES = /^(?:sc)?(?:(add)(?:to(?:cart|basket|bag))?|purchase|placeorder)$/;
/** Where parts of a sale stand inside of each other. */
const PARTS = /^(eventInfo|ecommerce|add|purchase|actionField|order|orderContext|shoppingCartContext|changedProductsContext|commerce|product|prices)$/;
const LINES = ["items", "products", "productListItems", "transactionProducts"];
const IDS = ["item_id", "id", "sku", "SKU", "productId", "product_id", "item_name", "name"];
const ORDERS = ["transaction_id", "transactionId", "purchaseID", "orderId", "order_id", "id"];
const LOOK_EVERY_MS = 1_000;

/**
 * What shops say in their layers: Google Analytics 4 (`items`; an object, or the arguments of `gtag`), the older enhanced
 * ecommerce (`add`, `purchase`), classic transactions, Adobe's. Each line is an event, and one order in two styles is one
 * order. The page's own entries are only read.
 */
export const shop: Feature = {
  name: "shop",
  start(page) {
    const heard = hearing(page);
    for (const name of page.settings.layers) listen(page, name, heard);
  },
};

/** Hears what is put into a list of the window's, once, whatever takes the place of the list or of its `push`. */
function listen(page: Page, name: string, heard: (entry: unknown) => void): void {
  const host = window as unknown as Said;
  const known = new WeakMap<object, true>();
  let nested = 0;
  let isTold = !page.late;
  let layer: unknown = globalOf(name);
  if (name === "dataLayer") layer = host[name] ??= [];

  const take = calm((entry: object) => {
    known.set(entry, true);
    if (isTold) heard(entry);
  });
  /** Takes what stands there and came by no `push`; the next `push` is heard at once. */
  const look = (): void => {
    if (!Array.isArray(layer)) return;
    for (const entry of layer as unknown[]) if (typeof entry === "object" && entry && !known.get(entry)) take(entry);
    let { push } = layer as unknown as Said;
    if (known.get(layer)) return;
    known.set(layer, true);
    trapped(layer, "push", () => heardPush(push), (other) => (push = other));
  };
  // NOTE: what takes the place of `push` calls the one before it: the outermost hears.
  const heardPush = (push: unknown): unknown =>
    function (this: unknown, ...entries: object[]): unknown {
      nested += 1;
      try {
        return Reflect.apply(push as () => unknown, this, entries);
      } finally {
        nested -= 1;
        if (!nested) for (const entry of entries) take(entry);
      }
    };

  look();
  isTold = true;
  const follows = trapped(host, name, () => layer, (other) => ((layer = other), look()));
  const lookAgain = (): void => {
    if (!follows) layer = host[name];
    look();
  };
  page.viewed(lookAgain);
  page.leaving(lookAgain);
  // NOTE: a list that was declared with `var` before us, or is frozen, or is written to by its index, cannot tell.
  setInterval(calm(lookAgain), LOOK_EVERY_MS);
}

/** Puts a getter and a setter in a property's place; false where that is not possible. */
function trapped(host: object, name: string, get: () => unknown, set: (value: unknown) => void): boolean {
  try {
    Object.defineProperty(host, name, { get, set: calm(set), configurable: true });
    return true;
  } catch {
    return false;
  }
}

function hearing(page: Page): (entry: unknown) => void {
  /** Order → the style in which it was told first. */
  const orders = table<string>();
  /** `ecommerce` that came before its event. */
  let waiting: unknown;

  return (entry) => {
    const given = entry as Said;
    const said: Said = given[0] === "event" ? { event: given[1], ecommerce: given[2] } : { ...given };
    const name = typeof said["event"] === "string" ? said["event"] : "";
    if ("ecommerce" in said) waiting = said["ecommerce"];
    else if (name) said["ecommerce"] = waiting;
    if (name) waiting = undefined;
    const sale = flat(said);
    const listed = first(sale, LINES);
    const known = NAMES.exec(name.toLowerCase().replace(/^.*[.:]|^(dl|gtm|eec?)_|[^a-z]/g, ""));
    const isAdded = known ? !!known[1] : !!(sale["productListAdds"] ?? sale["add"]);
    if (typeof listed !== "object" || !listed || !(known || isAdded || sale["purchase"] || sale["purchases"] || listed === sale["transactionProducts"])) return;
    const lines = (first(listed as Said, IDS) ? [listed] : Object.values(listed)).filter((line) => line).map((line) => flat(line as Said));
    const order = isAdded ? "" : (textOf(first(sale, ORDERS)) ?? "");
    const style = jsonOf([LINES.filter((key) => sale[key] === listed)[0], IDS.filter((key) => lines[0]?.[key])[0]]);
    if (order && (orders[order] ??= style) !== style) return;
    const seen = table<number>();
    for (const line of lines) {
      const properties = productOf(line, sale, order, lines.length);
      const sku = `${properties["sku"] as string}`;
      const nth = seen[sku] ?? 0;
      seen[sku] = nth + 1;
      page.tell(...told(isAdded ? ADDED : BOUGHT, properties, nth));
    }
  };
}

/** All that an entry says, without its parts being inside of each other. That a part was there is said too. */
function flat(said: Said, found: Said = {}): Said {
  for (const [name, value] of Object.entries(said)) {
    if (PARTS.test(name) && typeof value === "object" && value) flat(value as Said, found)[name] = true;
    else found[name] = value;
  }
  return found;
}

function productOf(line: Said, sale: Said, order: string, lines: number): Properties {
  const { price: said } = line;
  const price = numberOf(said) ?? numberOf((said as Said | undefined)?.["value"]);
  const quantity = numberOf(line["quantity"] ?? line["qty"]) || 1;
  const only = line["priceTotal"] ?? (lines === 1 ? first(sale, ["value", "revenue", "transactionTotal", "priceTotal"]) : undefined);
  const value = price === undefined ? numberOf(only) : price * quantity;
  return {
    sku: textOf(first(line, IDS)),
    name: first(line, ["name", "item_name"]),
    brand: first(line, ["item_brand", "brand"]),
    category: first(line, ["item_category", "category"]),
    price,
    quantity,
    value: value && Math.round(value * 100) / 100,
    currency: first(sale, ["currency", "currencyCode", "transactionCurrency"]),
    order_id: order || undefined,
  };
}

/** What the first of these properties says that says something. */
function first(said: Said, names: readonly string[]): unknown {
  for (const name of names) if ((said[name] ?? "") !== "") return said[name];
  return undefined;
}

const textOf = (said: unknown): string | undefined => (said === undefined ? said : `${said as string}`);
