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

/** A label as it may leave the page: short, without addresses and long numbers. */
export function scrubbed(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .trim()
    .replace(/\S+@\S+/g, "…")
    .replace(/\d[\d .-]{4,}\d/g, "…")
    .slice(0, MAX_TEXT);
}

/** The label of a link or button; empty where a field or something masked is inside. */
export function labelOf(element: Element): string {
  if (element.closest("[data-segma-mask]") || element.querySelector("input,textarea,select,[contenteditable]")) return "";
  return scrubbed(element.getAttribute("aria-label") ?? element.textContent ?? "");
}

const NUMBERS = ["value", "price", "quantity"];
const NOT_PROPERTIES = ["action", "mask"];

/** `data-segma-order-id="7"` becomes `{order_id: "7"}`; value, price and quantity become numbers. */
export function declaredProperties(dataset: Readonly<Record<string, string | undefined>>): Properties {
  const properties: Properties = {};
  for (const [key, text] of Object.entries(dataset)) {
    if (!/^segma[A-Z]/.test(key) || text === undefined) continue;
    const name = key.slice(5).replace(/[A-Z]/g, (letter, at: number) => (at ? "_" : "") + letter.toLowerCase());
    if (NOT_PROPERTIES.includes(name)) continue;
    const number = Number(text);
    properties[name] = NUMBERS.includes(name) && text.trim() && Number.isFinite(number) ? number : text.slice(0, 500);
  }
  return properties;
}
