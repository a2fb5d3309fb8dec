import { askedOf, type Asked } from "../asked";
import { FIELDS, isMasked, selectorOf, targetOf, up } from "../element";
import type { Feature, Page, Scalar } from "../words";

const MODIFIERS = /^(Control|Alt|Shift|Meta|AltGraph|CapsLock|Dead|Process|Unidentified)$/;
const ORDER = ["ctrl", "alt", "shift", "meta"];
const LONGEST = 31;

/**
 * Rows of symbols, each followed by one bit a symbol (the shift-and automaton of Baeza-Yates and Gonnet, 1992). What is
 * kept is how far each pattern has come, never what was typed.
 */
export class Automaton {
  private states = new Map<string, number>();

  constructor(private readonly symbolsOf: (pattern: string) => string[]) {}

  /** Takes a symbol; the patterns that it completes. */
  take(symbol: string, patterns: readonly Scalar[]): string[] {
    const done: string[] = [];
    const states = new Map<string, number>();
    for (const each of patterns) {
      const pattern = String(each);
      const symbols = this.symbolsOf(pattern).slice(0, LONGEST);
      let mask = 0;
      symbols.forEach((one, at) => (mask |= one === symbol ? 1 << at : 0));
      const state = (((this.states.get(pattern) ?? 0) << 1) | 1) & mask;
      if (symbols.length && state & (1 << (symbols.length - 1))) done.push(pattern);
      states.set(pattern, state);
    }
    this.states = states;
    return done;
  }

  forget(): void {
    this.states.clear();
  }
}

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** `Cmd+Shift+K` and `shift+meta+k` are one. */
export function normalised(shortcut: string): string {
  const parts = shortcut.toLowerCase().replace(/^cmd|\bcmd\b/g, "meta").replace(/\bcontrol\b/g, "ctrl").split(/\+(?!$)/);
  const key = parts.pop() ?? "";
  return [...ORDER.filter((name) => parts.includes(name)), key].join("+");
}

/** Keys, letters and shortcuts that live listeners name. They are matched here; only the name of the match leaves. */
export const keys: Feature = {
  name: "keys",
  start(page) {
    const asked = askedOf(page);
    const pressed = new Automaton(words);
    const typed = new Automaton((text) => [...text.toLowerCase()]);
    const shortcuts = new Automaton((text) => words(text).map(normalised));
    const held = new Map<string, number>();

    page.on("keydown", (event: KeyboardEvent) => {
      const key = keyOf(event);
      if (!key) return;
      const where = placeOf(event);
      if (event.repeat) {
        if (!held.has(key)) tellKey(page, asked, "key_held", key, event, where);
        held.set(key, held.get(key) ?? 1);
        return;
      }
      held.delete(key);
      if (event.ctrlKey || event.altKey || event.metaKey) {
        const modifiers = ORDER.filter((name) => event[`${name}Key` as "ctrlKey"]);
        for (const shortcut of shortcuts.take([...modifiers, key.toLowerCase()].join("+"), asked("shortcut_pressed") ?? [])) {
          page.tell("shortcut_pressed", { shortcut, ...where });
        }
        return;
      }
      if (isLetter(key)) {
        for (const letter of typed.take(key.toLowerCase(), asked("letter_typed") ?? [])) page.tell("letter_typed", { letter, ...where });
      }
      if (isLetter(key) && isWriting(event)) return;
      for (const each of pressed.take(key, asked("key_pressed") ?? [])) page.tell("key_pressed", { key: each, ...where });
    });
    page.on("keyup", (event: KeyboardEvent) => {
      const key = keyOf(event);
      held.delete(key);
      if (key) tellKey(page, asked, "key_released", key, event, placeOf(event));
    });
    page.on("focusin", () => [pressed, typed, shortcuts].forEach((each) => each.forget()));
  },
};

const isLetter = (key: string): boolean => [...key].length === 1;

const isWriting = (event: Event): boolean => !!up(targetOf(event), FIELDS);

// NOTE: what a single key writes into a field is text, and stays; only a letter's own listener hears of it.
function tellKey(page: Page, asked: Asked, action: string, key: string, event: KeyboardEvent, where: object): void {
  if (isLetter(key) && isWriting(event)) return;
  if ((asked(action) ?? []).includes(key)) page.tell(action, { key, ...where });
}

/** The key; nothing of an input method at work, of a browser that fills in by itself, of a masked field. */
function keyOf(event: KeyboardEvent): string {
  const target = targetOf(event);
  if (!event.isTrusted || event.isComposing || !event.key || MODIFIERS.test(event.key)) return "";
  return target && isMasked(target) ? "" : event.key === " " ? "Space" : event.key;
}

function placeOf(event: Event): { selector?: string } {
  const field = up(targetOf(event), FIELDS);
  return field ? { selector: selectorOf(field) } : {};
}
