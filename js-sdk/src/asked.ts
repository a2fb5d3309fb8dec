import { table, type Table } from "./table";
import { jsonOf } from "./text";
import type { Asked, Page, Scalar, Settings } from "./words";

/** How long a site's configuration is believed without asking again. */
export const FRESH_MS = 300_000;

/** What is kept begins with the time at which it was asked for, in milliseconds. */
const CLOCK_DIGITS = 13;

type Capture = Table<readonly Scalar[]>;

/**
 * What the site's live listeners ask for and its settings allow: action → the values that they name. It is read from
 * the collector, kept for five minutes, never waited for; where it cannot be had, the last known one holds, else none.
 */
export function askedOf(page: Page, ask: Ask = asking): Asked {
  return (page.wanted ??= begun(page, ask));
}

function begun(page: Page, ask: Ask): Asked {
  const kept = page.remember("config");
  let capture = captureOf(kept.slice(CLOCK_DIGITS)) ?? table();
  const age = page.now() - +kept.slice(0, CLOCK_DIGITS);
  if (!(age >= 0 && age < FRESH_MS)) {
    void ask(page.settings, (text) => {
      const fresh = captureOf(text);
      if (!fresh) return;
      capture = fresh;
      page.remember("config", page.now() + text);
    });
  }
  return (action) => capture[action];
}

type Ask = (settings: Settings, answered: (text: string) => void) => Promise<void>;

/** Asks the collector; where it does not answer, nothing comes of it: what was asked for before is asked for still. */
const asking: Ask = async ({ collector, site }, answered) => {
  try {
    answered(await (await fetch(`${collector}/v1/sites/${site}/config.json`, { credentials: "omit", referrerPolicy: "origin" })).text());
  } catch {
    // NOTE: nothing to be done: the network is away, or a page in between has answered.
  }
};

/** The text's configuration if it is one; only lists of plain values under names of actions count. */
export function captureOf(text: string): Capture | undefined {
  try {
    const asked: Capture = table();
    const { capture } = JSON.parse(text) as { capture: object };
    for (const [action, values] of Object.entries(capture)) {
      if (Array.isArray(values)) asked[action] = values.filter((value): value is Scalar => /^(st|nu)/.test(typeof value)).slice(0, 200);
    }
    return /^{/.test(jsonOf(capture)) ? asked : undefined;
  } catch {
    return undefined;
  }
}
