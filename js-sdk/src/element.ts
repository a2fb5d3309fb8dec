import type { Properties } from "./words";

/** The parts of an element that are looked at: no layout, no style, no value of a field. */
export type Looked = Pick<Element, "tagName" | "id" | "getAttribute" | "parentElement">;

const MAX_DEPTH = 3;
const MAX_TEXT = 80;
const GENERATED = /\d{3,}|[:[\]()/.#@]/;

/** A short CSS selector that survives a new build of the site: ids and classes that look generated are left out. */
export function selectorOf(element: Looked): string {
  const parts: string[] = [];
  let here: Looked | null = element;
  while (here && parts.length < MAX_DEPTH && here.tagName !== "BODY" && here.tagName !== "HTML") {
    const id = here.id && !GENERATED.test(here.id) ? `#${here.id}` : "";
    parts.unshift(here.tagName.toLowerCase() + (id || classesOf(here)));
    if (id) break;
    here = here.parentElement;
  }
  return parts.join(" > ").slice(0, 200);
}

function classesOf(element: Looked): string {
  const names = (element.getAttribute("class") ?? "").split(/\s+/).filter((name) => name && !GENERATED.test(name));
  return names.slice(0, 2).map((name) => `.${name}`).join("");
}

/** The element that an event really happened on, inside open shadow roots too. */
export function targetOf(event: Event): Element | undefined {
  const target = event.composedPath()[0];
  return target instanceof Element ? target : undefined;
}

/** As `closest`, through the borders of shadow roots. */
export function up<E extends Element = HTMLElement>(element: Element | undefined, selector: string): E | undefined {
  for (let here = element; here; here = (here.getRootNode() as Partial<ShadowRoot>).host) {
    const found = here.closest<E>(selector);
    if (found) return found;
  }
  return undefined;
}

/** The first of these selectors that the element, or one around it, fits; a selector that is none fits nothing. */
export function fitting(element: Element, selectors: readonly unknown[]): [Element, string] | undefined {
  for (const selector of selectors) {
    try {
      const found = up(element, String(selector));
      if (found) return [found, String(selector)];
    } catch {
      // NOTE: listeners name selectors as free text.
    }
  }
  return undefined;
}

/** What can be typed into or chosen from. */
const PRESSED = "[type=button],[type=submit],[type=reset],[type=image]";
export const FIELDS = `input:not(${PRESSED},[type=hidden]),textarea,select,[contenteditable]:not([contenteditable=false])`;
export const BUTTONS = `button,[role=button],input:is(${PRESSED})`;

const SECRET = /pass(?!ive|age|eng)|pwd|secret|card|cc-?(?:num|exp|csc)|cvc|cvv|csc|iban|ssn|otp|one-?time|pin-?code|^pin$/i;

/** Whether nothing may be told of an element: the page masks it, or it holds a password, a card or a one-time code. */
export function isMasked(element: Element): boolean {
  const said = (name: string): string => element.getAttribute(name) ?? "";
  return (
    !!up(element, "[data-segma-mask],input[type=password],input[type=hidden]") ||
    /cc-|one-time-code|password/.test(said("autocomplete")) ||
    (element.matches(FIELDS) && SECRET.test(`${said("name")} ${element.id}`.replace(/\s+/g, " ")))
  );
}

/** Text without addresses and long numbers. */
export const cleaned = (text: string): string => text.replace(/[^\s"\\,:;<>()]+(?:@|%40)[^\s"\\,:;<>()]+/gi, "…");

/** A label as it may leave the page: short, without addresses and long numbers. */
export function scrubbed(text: string): string {
  return cleaned(text.replace(/\s+/g, " ").trim())
    .replace(/\d[\d .-]{4,}\d/g, "…")
    .slice(0, MAX_TEXT);
}

/** The label of a link or button; empty where a field or something masked is inside. */
export function labelOf(element: Element): string {
  if (up(element, "[data-segma-mask]") || element.querySelector(`${FIELDS},[data-segma-mask]`)) return "";
  return scrubbed(element.getAttribute("aria-label") ?? element.textContent ?? "");
}

const DECLARED = /^segma(?!(?:Action|Mask|Hover|Point|Search)$)[A-Z]/;
const NUMBERS = /^(value|price|quantity)$/;

/** `data-segma-order-id="7"` becomes `{order_id: "7"}`; value, price and quantity become numbers, tags a list. */
export function declaredProperties(dataset: Readonly<Record<string, string | undefined>>): Properties {
  const properties: Properties = {};
  for (const [key, text = ""] of Object.entries(dataset)) {
    if (!DECLARED.test(key)) continue;
    const name = key.slice(5).replace(/[A-Z]/g, (letter, at) => (at ? "_" : "") + letter.toLowerCase());
    if (name === "tags") properties[name] = text.split(",").map((tag) => tag.trim()).filter(Boolean);
    else properties[name] = NUMBERS.test(name) && text.trim() && isFinite(+text) ? +text : text.slice(0, 500);
  }
  return properties;
}
