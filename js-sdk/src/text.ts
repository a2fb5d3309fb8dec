import type { Properties } from "./words";

/** Whether something is a text, and fits as a whole. */
export const isWhole = (form: RegExp, text: unknown): boolean => form.exec(text as string)?.[0] === text;

/** The words of a text, parted by blanks. */
export const wordsIn = (text: string): string[] => text.split(/\s+/).filter((word) => word);

/** The first so many characters of a text: whole ones, never half of a pair. */
export const cut = (text: string, most: number): string => [...text.slice(0, 2 * most)].slice(0, most).join("");

const ADDRESS = /[^\s"\\,:;<>()]+(?:@|%40)[^\s"\\,:;<>()]+/gi;
const GROUPS = /(?:2[2-7]|[3-6]\d)\d{2,4}[\W_]{0,2}\d{4,6}[\W_]{0,2}\d{4,5}([\W_]{0,2}\d{1,7})?/g;
/** By length and first digits: Diners Club and American Express, and those of sixteen digits and more. */
const CARD = /^(3[04678]\d{12,13}|[2-6]\d{15,18})$/;
/** Single digits, or pairs, with the same signs between them; where a list of numbers has its comma, it is a list. */
const SPACED = /\b(?:\d([^\w,;:]{1,2})(?:\d\1){12,14}\d|\d\d([^\w,;:]{1,2})(?:\d\d\2){5,6}\d\d?)/g;
/** Text without email addresses, NUL and halves of characters; unless it is an id, without numbers of cards. */
export function masked(text: string, isId = false): string {
  const said = text.replace(/\0|\p{Cs}/gu, "").replace(ADDRESS, "…");
  if (isId) return said;
  // NOTE: numbers that rise are sizes.
  const spaced = said.replace(SPACED, (run) => (run.split(/\D+/).filter((part, at, all) => part <= (all[at - 1] as string))[0] ? hidden(run) : run));
  return spaced.replace(GROUPS, hidden);
}

/**
 * A run without the card that it begins with, which is told by its form and by Luhn's sum: from the right, every second digit
 * counts twice. More digits may stand behind it: when it expires, or its check digits.
 */
function hidden(run: string): string {
  const digits = run.replace(/\D/g, "");
  let sum = 0;
  let at = digits.length;
  for (const digit of digits) sum += (at -= 1) % 2 ? (+digit * 2) % 9 || +digit : +digit;
  if (CARD.test(digits) && sum % 10 === 0) return "…";
  // NOTE: digits without a sign among them are one number, and no part of it is a card's.
  return run.replace(/^(.*\D.*\d|\d+(?=\D))(.*\d)$/s, (_, ahead: string, last: string) => hidden(ahead) + last);
}

/** As `JSON.stringify` of plain data, whatever `toJSON` a page gives to lists and texts. */
export function jsonOf(value: unknown): string {
  if (typeof value !== "object" || !value) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((each) => jsonOf(each)).join()}]`;
  return `{${Object.entries(value).map(([name, each]) => `${jsonOf(name)}:${jsonOf(each)}`).join()}}`;
}

const MAX_EVENT_CHARS = 10_000;
const MAX_DEPTH = 7;
/** The longest that the wire takes. */
const MAX_NAME = 256;

/**
 * What can be told of what the page says: plain data of at most 10,000 characters. Dates and integers beyond 2^53 are texts;
 * a circle, what throws and what there is no room for is left out.
 */
export function plain(given: unknown): Properties {
  let room = MAX_EVENT_CHARS;
  const above: unknown[] = [];
  const told = (value: unknown, name: string): unknown => {
    if (value instanceof Date) value = value.toISOString();
    if (typeof value === "bigint" || (typeof value === "number" && value * value > 2 ** 106)) value = `${value}`;
    if (typeof value === "string") value = masked(cut(value, room), /^sku$|_id$/.test(name));
    if (typeof value === "object" && value) return above.length < MAX_DEPTH && !above.includes(value) ? inside(value) : undefined;
    // NOTE: what JSON has no word for is undefined.
    const text = JSON.stringify(value) as string | undefined;
    if (text) room -= text.length;
    return text && room > 0 ? value : undefined;
  };
  const inside = (value: object): unknown => {
    const isList = above.length > 1 && Array.isArray(value);
    const found: Properties = {};
    above.push(value);
    for (const name of Object.keys(value)) {
      // NOTE: a look costs room too: an event of a framework's leads to all that its page is made of.
      if ((room -= name.length + 4) < 0) break;
      try {
        const part = told((value as Properties)[name], name);
        if (part !== undefined) found[cut(masked(name), MAX_NAME)] = part;
      } catch {
        // NOTE: what throws when it is looked at cannot be told.
      }
    }
    above.length -= 1;
    return isList ? Object.values(found) : found;
  };
  // NOTE: what stands inside may throw, the whole as well: a proxy can.
  const { all } = inside({ all: given }) as { all?: unknown };
  return typeof all === "object" && all ? (all as Properties) : {};
}
