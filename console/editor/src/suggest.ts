// What may stand at a place: names and values of the language, and what the site really sends, from the page's own lists.
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { type EditorView, type Tooltip } from "@codemirror/view";
import type { Language } from "./language";
import { ELEMENT, type Place, placeAt } from "./place";

const ACTIONS = new Set(["action", "not", "any_of", "all_of", "until"]);
const PROPERTIES = new Set(["distinct_by", "per", "of"]);
const LISTS = new Set(["from", "to", "list"]);
/** Plain texts that some readers of YAML take for something else. */
const WORDS = new Set(["y", "n", "yes", "no", "on", "off", "true", "false", "null"]);

/** The language's words are English, whatever the page's language is. */
function inEnglish(text: string): HTMLElement {
  const made = document.createElement("div");
  made.lang = "en";
  made.textContent = text;
  return made;
}

/** The values of one of the page's lists; none before it has come in. */
function listed(id: string): string[] {
  const list = document.getElementById(id);
  return list instanceof HTMLDataListElement ? [...list.options].map((each) => each.value) : [];
}

/** The property that a value belongs to, or "" for that of a property's name; none elsewhere. */
function propertyAt(path: readonly string[]): string | undefined {
  const where = path.lastIndexOf("where");
  return where < 0 ? undefined : path[where + 1] ?? "";
}

function valuesOfTheSite(path: readonly string[]): string[] {
  const name = path.findLast((each) => each !== ELEMENT) ?? "";
  const property = propertyAt(path);
  if (property) return listed(`seen-${property}`);
  if (ACTIONS.has(name)) return listed("known-actions");
  if (PROPERTIES.has(name)) return listed("known-properties");
  if (LISTS.has(name)) return listed("seen-lists");
  return name === "at" ? listed("known-accounts") : [];
}

/** A text as a YAML value in one line, as the form writes it. */
function written(text: string): string {
  return /^([a-z][a-z0-9_/-]*|[0-9]{1,9}(ms|s|m|h|d|w)|-?[0-9]+(\.[0-9]+)?)$/.test(text) && !WORDS.has(text) ? text : JSON.stringify(text);
}

/** `after`: what the line goes on with; a name that has its colon already gets none. */
function names(language: Language, { path, beside }: Place, after: string): Completion[] {
  const hasColon = /^[\w.-]* *:/.test(after);
  const own = [...language.names(path, beside)].map(([name, schema]) => ({
    label: name,
    apply: hasColon ? name : language.isPlain(schema) ? `${name}: ` : `${name}:`,
    type: "property",
    ...(schema.description && { info: () => inEnglish(schema.description ?? "") }),
  }));
  if (propertyAt(path) !== "") return own;
  const properties = listed("known-properties").filter((name) => !beside.includes(name));
  return [...own, ...properties.map((name) => ({ label: name, apply: hasColon ? name : `${name}: `, type: "property" }))];
}

function values(language: Language, path: readonly string[], quote: string): Completion[] {
  const named = language.values(path).map((label) => ({ label, type: "enum", apply: quote ? label : /^(true|false)$/.test(label) ? label : written(label) }));
  const seen = valuesOfTheSite(path).map((label) => ({ label, type: "text", apply: quote ? label : written(label) }));
  return [...named, ...seen];
}

/** Suggest what may stand where somebody writes: while they write, or when they ask. */
export function suggest(language: Language, context: CompletionContext): CompletionResult | null {
  const place = placeAt(context.state.doc, context.pos);
  if (!place) return null;
  const typed = context.state.sliceDoc(place.from, context.pos);
  const after = context.state.sliceDoc(context.pos, context.state.doc.lineAt(context.pos).to);
  const quote = /^["']/.exec(typed)?.[0] ?? "";
  // NOTE: Enter takes what is suggested. On an empty line it is meant to make another one.
  if (!context.explicit && !typed && (place.wants !== "value" || context.matchBefore(/\S$/))) return null;
  const options = [
    ...(place.wants !== "value" && !quote ? names(language, place, after) : []),
    ...(place.wants !== "name" ? values(language, place.path, quote) : []),
  ];
  return options.length ? { from: place.from + quote.length, options, validFor: /^[^\s,:{}[\]]*$/ } : null;
}

/** Say what the name under the pointer is for. */
export function explain(language: Language, view: EditorView, position: number): Tooltip | null {
  const word = view.state.wordAt(position);
  const place = word && placeAt(view.state.doc, word.from);
  if (!place || place.from !== word.from || !/^ *:/.test(view.state.sliceDoc(word.to, word.to + 3))) return null;
  const said = language.said([...place.path, view.state.sliceDoc(word.from, word.to)]);
  return said ? { pos: word.from, end: word.to, above: true, create: () => ({ dom: inEnglish(said) }) } : null;
}
