import { cut, masked, wordsIn } from "./text";
import type { Properties } from "./words";

/** The parts of an element that are looked at: no layout, no style, no value of a field. */
export type Looked = Pick<Element, "tagName" | "id" | "getAttribute" | "parentElement">;

const MAX_DEPTH = 3;
const MAX_TEXT = 80;
const GENERATED = /\d{3,}|[:[\]()/.#@]/;

/** An element and those around it, each with its id and classes as they are now: the page's own handlers may change them. */
type Looks = [here: Pick<Element, "tagName">, id: string, classes: string | null][];

export function lookedAt(element: Looked): Looks {
  const looks: Looks = [];
  for (let here: Looked | null = element; here && looks.length < MAX_DEPTH; here = here.parentElement) looks.push([here, here.id, here.getAttribute("class")]);
  return looks;
}

/** A short CSS selector that survives a new build of the site: ids and classes that look generated are left out. */
export function selectorFrom(looks: Looks): string {
  let parts: string[] = [];
  for (const [here, id, classes] of looks) {
    const tag = here.tagName.toLowerCase();
    if (/^(body|html)$/.test(tag)) break;
    const [name] = namesIn(id);
    parts = [tag + (name ? `#${name}` : namesIn(classes).slice(0, 2).map((each) => `.${each}`).join("")), ...parts];
    if (name) break;
  }
  return cut(parts.join(" > "), 200);
}

export const selectorOf = (element: Looked): string => selectorFrom(lookedAt(element));

const namesIn = (text: string | null): string[] => wordsIn(text ?? "").filter((name) => !GENERATED.test(name));

/** The element that an event really happened on, inside open shadow roots too. */
export function targetOf(event: Event): Element | undefined {
  const { target } = event;
  // PERF: a path is a list of everything around; only where a shadow root hides the target it says more.
  const inside = target instanceof Element && target.shadowRoot ? event.composedPath()[0] : target;
  return inside instanceof Element ? inside : undefined;
}

/** As `closest`, through the borders of shadow roots. */
export function up<E extends Element = HTMLElement>(element: Element | undefined, selector: string): E | undefined {
  for (let here = element; here; here = (here.getRootNode() as ShadowRoot).host as Element | undefined) {
    const found = here.closest<E>(selector);
    if (found) return found;
  }
  return undefined;
}

/** The first of these selectors that the element, or one around it, fits; `*`, and one that is none, fits nothing. */
export function fitting(element: Element, selectors: readonly unknown[]): [Element, string] | undefined {
  for (const selector of selectors) {
    try {
      const found = selector !== "*" && up(element, selector as string);
      if (found) return [found, selector as string];
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

/** Whole words of a name; what no other word holds may stand anywhere in it. */
const SECRET =
  /pass(w|code|phrase)|pwd|cardnum|creditcard|\b(pass|secret|card|cc ?(n|exp|c)\w*|cv[cv]|csc|iban|ssn|security|t?otp|one ?time|pin(code)?)\b/i;

/** Whether a field's name says that what stands in it is secret: `cardNumber`, `card-number`, not `q-className`. */
export const isSecretName = (name: string): boolean => SECRET.test(name.replace(/[a-z](?=[A-Z])|[A-Z](?=[A-Z][a-z])/g, "$& ").replace(/[^a-z]+/gi, " "));

/** Whether nothing may be told of an element: the page masks it, or it holds a password, a card or a one-time code. */
export function isMasked(element: Element): boolean {
  // NOTE: "null", where there is none, is no secret's name.
  const said = (name: string): string => element.getAttribute(name) as string;
  return (
    !!up(element, "[data-segma-mask],input[type=password],input[type=hidden]") ||
    /cc-|one-time-code|password/i.test(said("autocomplete")) ||
    (element.matches(FIELDS) && isSecretName(`${said("name")} ${element.id}`))
  );
}

const onOneLine = (text: string): string => wordsIn(text).join(" ");

/** A label as it may leave the page: short, without addresses and numbers of cards. */
export const scrubbed = (text: string): string => cut(masked(onOneLine(text)), MAX_TEXT);

const DECLARED = /^segma(?!(?:Action|Mask|Hover|Point|Search)$)[A-Z]/;

/** `data-segma-order-id="7"` becomes `{order_id: "7"}`; tags become a list. */
export function declaredProperties(dataset: Readonly<Record<string, string | undefined>>): Properties {
  const properties: Properties = {};
  for (const [key, text = ""] of Object.entries(dataset)) {
    if (!DECLARED.test(key)) continue;
    const name = key.slice(5).replace(/[A-Z]/g, (letter, at) => (at ? "_" : "") + letter.toLowerCase());
    properties[name] = name === "tags" ? text.split(",").map(onOneLine).filter((tag) => tag) : cut(text, 500);
  }
  return properties;
}
