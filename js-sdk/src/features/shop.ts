import { BOUGHT, numberOf, orderId } from "../products";
import { calm } from "../say";
import { table } from "../table";
import { jsonOf, wordsIn } from "../text";
import type { Feature, Page, Properties } from "../words";

type Said = Record<string, unknown>;

/** Names of events, without prefixes, case and signs: `add_to_cart`, `dl_add_to_cart`, `addToCart`, `place-order`. */
const NAMES = /^(?:(scadd|addto(?:cart|basket|bag))|(?:sc)?purchase|placeorder)$/;
/** Where parts of a sale stand inside of each other. */
const PARTS = /^(eventInfo|ecommerce|add|purchase|actionField|order|commerce|product|prices|\w+Context)$/;
const LINES = "items products productListItems transactionProducts";
const IDS = "item_id id sku SKU productId product_id item_name name";
const ORDERS = "transaction_id transactionId purchaseID orderId order_id id";
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
  /** Entry → whether it was told before it stood in the list. */
  const known = new WeakMap<object, boolean>();
  let taken = 0;
  let isTold = !page.late;
  let layer: unknown;
  if (name === "dataLayer") host[name] ??= [];

  const take = calm((entry: object, early?: boolean) => {
    taken += 1;
    const isNew = !known.get(entry);
    known.set(entry, !!early);
    if (isTold && isNew) heard(entry);
  });
  /** Takes what stands there and came by no `push`; the next `push` is heard at once. */
  const look = (): void => {
    layer = host[name];
    if (!Array.isArray(layer)) return;
    for (const entry of layer as unknown[]) if (typeof entry === "object" && entry) known.get(entry) ?? take(entry);
    if (known.get(layer)) return;
    known.set(layer, true);
    let push = heardPush((layer as unknown as Said)["push"]);
    trapped(layer, "push", () => push, (other) => (push = heardPush(other, true)));
  };
  // NOTE: what takes the place of `push` calls the one before it, which hears what really comes: copies, too. What reaches
  // none is heard here, and not once more where it is put into the list later.
  const heardPush = (push: unknown, early?: boolean): unknown =>
    function (this: unknown, ...entries: object[]): unknown {
      const before = taken;
      try {
        return Reflect.apply(push as () => unknown, this, entries);
      } finally {
        if (taken === before) for (const entry of entries) take(entry, early);
      }
    };

  look();
  isTold = true;
  trapped(host, name, () => layer, (other) => ((layer = other), look()));
  page.viewed(look);
  page.leaving(look);
  // NOTE: a list that was declared with `var` before us, defined anew, frozen, or written to by its index, cannot tell.
  setInterval(calm(look), LOOK_EVERY_MS);
}

/** Puts a getter and a setter in a property's place, where that is possible. */
function trapped(host: object, name: string, get: () => unknown, set: (value: unknown) => void): void {
  try {
    Object.defineProperty(host, name, { get, set: calm(set), configurable: true });
  } catch {
    // NOTE: it is looked at from time to time.
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
    const known = NAMES.exec(name.toLowerCase().replace(/^.*[.:]|^(dl|gtm|eec?)_|[^a-z]/g, ""));
    // NOTE: Adobe's events carry all that is known: what was changed lately, and the whole basket.
    const other = known?.[1] ? /^shopp/ : /^chang/;
    const sale = flat(said, other);
    const [key = ""] = wordsIn(LINES).filter((each) => isFull(sale[each]));
    const listed = sale[key] as Said | undefined;
    const isAdded = known ? known[1] : (sale["productListAdds"] ?? sale["add"]);
    if (!listed || !(known || isAdded || sale["purchase"] || sale["purchases"] || /^tr/.test(key))) return;
    waiting = undefined;
    const lines = (first(listed, IDS) ? [listed] : Object.values(listed)).filter(isFull).map((line) => flat(line, other));
    const order = isAdded ? "" : ((first(sale, ORDERS) ?? "") as string);
    const style = jsonOf([key, wordsIn(IDS).filter((each) => lines[0]?.[each])[0]]);
    if (order && (orders[order] ??= style) !== style) return;
    const seen = table<number>();
    for (const line of lines) {
      const properties = productOf(line, sale, order, lines.length);
      const sku = `${properties["sku"] as string}`;
      const nth = seen[sku] ?? 0;
      seen[sku] = nth + 1;
      page.tell(isAdded ? "product_added" : BOUGHT, properties, orderId(properties, nth));
    }
  };
}

const isFull = (said: unknown): said is Said => typeof said === "object" && !!said && !!Object.keys(said)[0];

/**
 * All that an entry says but in `other` parts, without its parts being inside of each other. That a part was there is said
 * too.
 */
function flat(said: Said, other: RegExp, found: Said = {}): Said {
  for (const [name, value] of Object.entries(said)) {
    if (!PARTS.test(name) || !isFull(value)) found[name] = value;
    else if (!other.test(name)) flat(value, other, found)[name] = true;
  }
  return found;
}

function productOf(line: Said, sale: Said, order: string, lines: number): Properties {
  const { price: said } = line;
  const price = numberOf(said) ?? numberOf((said as Said | undefined)?.["value"]);
  const quantity = numberOf(line["quantity"] ?? line["qty"]) || 1;
  const only = line["priceTotal"] ?? (lines === 1 ? first(sale, "value revenue transactionTotal priceTotal") : undefined);
  const value = price === undefined ? numberOf(only) : price * quantity;
  return {
    sku: first(line, IDS),
    name: first(line, "name item_name"),
    brand: first(line, "item_brand brand"),
    category: first(line, "item_category category"),
    price,
    quantity,
    value: value && Math.round(value * 100) / 100,
    currency: first(sale, "currency currencyCode transactionCurrency"),
    order_id: order || undefined,
  };
}

/** What the first of these properties says that says something. */
const first = (said: Said, names: string): unknown => said[wordsIn(names).filter((name) => (said[name] ?? "") !== "")[0] as string];
