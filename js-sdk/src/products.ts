import { table, type Table } from "./table";
import { jsonOf, wordsIn } from "./text";
import type { Form, Properties } from "./words";

export const BOUGHT = "product_bought";

/**
 * A price, a value or a quantity as a number; undefined where it is none, or cannot be told. The last mark is the decimal's,
 * unless exactly three digits follow it and all others are the same: these are groups of thousands ("1.234" and "1,234" are
 * 1234), but for "0.125".
 */
export function numberOf(given: unknown): number | undefined {
  if (typeof given === "number") return given * 0 === 0 ? given : undefined;
  // NOTE: a sign may have a currency behind it; a point behind letters is theirs: "Rs.499".
  const [, less, run] = /^\D*?([-−–(]\D{0,2}?)?(?:[a-z]\.)?([.,]?\d[\d.,'’\s]*)\D*$/.exec(`${given as string}`) ?? [];
  if (!run) return undefined;
  const digits = run.replace(/[^\d.,]|[.,]+$/g, "");
  const others = /^[1-9]\d*([.,])(\d+\1)*\d{3}$/.test(digits) ? /[.,]/g : /[.,](?=.*[.,])/g;
  return (less ? -1 : 1) * +digits.replace(others, "").replace(",", ".");
}

/** Properties as the wire has them: prices are numbers, ids are texts; nothing is never 0. */
export function shaped(properties: Properties): Properties {
  const said = { ...properties };
  for (const name of wordsIn("value price quantity")) {
    const number = numberOf(said[name]);
    if (number !== undefined) said[name] = number;
    else if (!said[name]) delete said[name];
  }
  for (const name of wordsIn("sku order_id item_id")) {
    if (typeof said[name] === "number") said[name] = `${said[name] as number}`;
  }
  return said;
}

/**
 * A purchase under its order's number is one event, however often its page is loaded or whoever tells of it. `nth`: which
 * of the order's lines of the same product it is.
 */
export const orderId = ({ order_id: order, sku }: Properties, nth = 0): string =>
  order ? `o-${hashOf(jsonOf([`${order as string}`, `${sku as string}`, nth]))}` : "";

/**
 * Gives what is told its form, and a purchase the id of its order's line: lines of one product that say different things are
 * two, what says the same again is one.
 */
export function forming(): Form {
  const orders = table<Table<number>>();
  return (action, given, id) => {
    const properties = shaped(given);
    if (!id && action === BOUGHT) {
      const lines = (orders[orderId(properties)] ??= table());
      id = orderId(properties, (lines[jsonOf(properties)] ??= Object.keys(lines).length));
    }
    return [properties, id];
  };
}

const GOLDEN = 2654435761;

/** Four sums of 32 bits, as 28 letters and digits at most: the same text, the same sum. */
const hashOf = (text: string): string =>
  [1, 3, 5, 7].map((odd) => {
    const factor = odd * GOLDEN;
    let sum = factor;
    for (let at = 0; at < text.length; at += 1) sum = Math.imul(sum ^ text.charCodeAt(at), factor);
    return ((sum ^ (sum >>> 15)) >>> 0).toString(36);
  }).join("");
