import { told } from "./clicks";
import type { Feature, Page, Properties } from "../words";

type Said = Record<string, unknown>;

const ACTIONS: Record<string, string> = { add_to_cart: "product_added", purchase: "product_bought" };

/**
 * The `dataLayer` that shops fill for Google Analytics 4 (`add_to_cart`, `purchase`), as an object with `ecommerce` and
 * as `gtag('event', …)`. Each item is an event; the page's own entries are only read.
 */
export const shop: Feature = {
  name: "shop",
  start(page) {
    const host = window as Window & { dataLayer?: unknown[] };
    const layer = (host.dataLayer ??= []);
    if (!Array.isArray(layer)) return;
    for (const entry of layer) heard(page, entry);
    const push = layer.push;
    layer.push = function (this: unknown[], ...entries: unknown[]): number {
      const length = push.apply(this, entries);
      for (const entry of entries) heard(page, entry);
      return length;
    };
  },
};

function heard(page: Page, entry: unknown): void {
  try {
    const said = (entry ?? {}) as Said & ArrayLike<unknown>;
    const byTag = said[0] === "event";
    const action = ACTIONS[String(byTag ? said[1] : said["event"])];
    const sale = (byTag ? said[2] : (said["ecommerce"] ?? said)) as Said | undefined;
    if (!action || !sale || !Array.isArray(sale["items"])) return;
    for (const item of sale["items"] as Said[]) {
      page.tell(...told(action, productOf(item, sale)));
    }
  } catch {
    // NOTE: the page's own entries may be of any form.
  }
}

function productOf(item: Said, sale: Said): Properties {
  const price = Number(item["price"]);
  const quantity = Number(item["quantity"] ?? 1) || 1;
  const only = (sale["items"] as unknown[]).length === 1 ? Number(sale["value"]) : NaN;
  const value = Number.isFinite(price) ? price * quantity : only;
  const found: Properties = {
    sku: item["item_id"] ?? item["item_name"],
    name: item["item_name"],
    brand: item["item_brand"],
    category: item["item_category"],
    price: Number.isFinite(price) ? price : undefined,
    quantity,
    value: Number.isFinite(value) ? Math.round(value * 100) / 100 : undefined,
    currency: sale["currency"],
    order_id: sale["transaction_id"],
  };
  return Object.fromEntries(Object.entries(found).filter(([, each]) => each !== undefined && each !== ""));
}
