import { askedOf } from "../asked";
import { FIELDS, isMasked, selectorOf, up } from "../element";
import { table } from "../table";
import { wordsIn } from "../text";
import type { Feature, Scalar } from "../words";

/** By how they begin; no other key has a name that begins so. */
const MODIFIERS = /^(Control|Alt|Shift|Meta|Caps|Dead|Proc|Unid)/;
const ORDER = wordsIn("ctrl alt shift meta");

/**
 * Rows of symbols, each followed by one flag a symbol (the shift-and automaton of Baeza-Yates and Gonnet, 1992). What is
 * kept is how far each pattern has come, never what was typed.
 */
export function automaton(symbolsOf: (pattern: string) => string[]) {
  let states = table<boolean[]>();
  return {
    /** Takes a symbol; the patterns that it completes. */
    take(symbol: string, patterns: readonly Scalar[] = []): string[] {
      const before = states;
      states = table();
      return patterns.map((each) => `${each}`).filter((pattern) => {
        const state = symbolsOf(pattern).map((one, at) => one === symbol && (!at || !!before[pattern]?.[at - 1]));
        states[pattern] = state;
        return state[state.length - 1];
      });
    },

    forget(): void {
      states = table();
    },
  };
}

const inOrder = (has: (modifier: string) => boolean, ...keys: string[]): string => [...ORDER.filter(has), ...keys].join("+");

/** `Cmd+Shift+K` and `shift+meta+k` are one. */
export function normalised(shortcut: string): string {
  const parts = shortcut.toLowerCase().replace(/\bcmd\b/g, "meta").replace(/\bcontrol\b/g, "ctrl").split(/\+(?!$)/);
  return inOrder((name) => parts.includes(name), ...parts.filter((part) => !ORDER.includes(part)));
}

/** Keys, letters and shortcuts that live listeners name. They are matched here; only the name of the match leaves. */
export const keys: Feature = {
  name: "keys",
  start(page) {
    const asked = askedOf(page);
    const pressed = automaton(wordsIn);
    const typed = automaton((text) => [...text.toLowerCase()]);
    const shortcuts = automaton((text) => wordsIn(text).map(normalised));
    const held = table<true>();

    const handled = (event: KeyboardEvent, target: Element | undefined): void => {
      const { key: said } = event;
      // NOTE: nothing of an input method at work, of a browser that fills in by itself, of a masked field.
      if (!event.isTrusted || event.isComposing || !said || MODIFIERS.test(said) || (target && isMasked(target))) return;
      const key = said === " " ? "Space" : said;
      const isLetter = [...key].length === 1;
      const field = up(target, FIELDS);
      const where = field ? { selector: selectorOf(field) } : {};
      const tell = (action: string, told: object): void => page.tell(action, { ...told, ...where });
      // NOTE: what a single key writes into a field is text, and stays; only a letter's own listener hears of it.
      const tellKey = (action: string): void => {
        if (!(isLetter && field) && (asked(action) ?? []).includes(key)) tell(action, { key });
      };
      if (event.type === "keyup") {
        delete held[key];
        tellKey("key_released");
      } else if (event.repeat) {
        if (!held[key]) tellKey("key_held");
        held[key] = true;
      } else {
        delete held[key];
        const low = key.toLowerCase();
        const row = inOrder((name) => event[`${name}Key` as "ctrlKey"], low);
        if (/(ctrl|alt|meta)\+/.test(row)) {
          for (const shortcut of shortcuts.take(row, asked("shortcut_pressed"))) tell("shortcut_pressed", { shortcut });
          return;
        }
        if (isLetter) for (const letter of typed.take(low, asked("letter_typed"))) tell("letter_typed", { letter });
        if (!(isLetter && field)) for (const each of pressed.take(key, asked("key_pressed"))) tell("key_pressed", { key: each });
      }
    };
    page.on("keydown", handled);
    page.on("keyup", handled);
    page.on("focusin", () => {
      for (const each of [pressed, typed, shortcuts]) each.forget();
    });
  },
};
