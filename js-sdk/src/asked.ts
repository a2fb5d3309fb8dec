import { table, type Table } from "./table";
import { jsonOf } from "./text";
import type { Asked, Page, Scalar, Settings } from "./words";

/** How long a site's configuration is believed without asking again. */
export const FRESH_MS = 300_000;

type Capture = Table<readonly Scalar[]>;

/**
 * What the site's live listeners ask for and its settings allow: action → the values that they name. It is read from
 * the collector, kept for five minutes, never waited for; where it cannot be had, the last known one holds, else none.
 */
export function askedOf(page: Page, ask: Ask = asking): Asked {
  return (page.wanted ??= begun(page, ask));
}

function begun(page: Page, ask: Ask): Asked {
  let [at, capture] = kept(page.remember("config"));
  const age = page.now() - at;
  if (age < 0 || age >= FRESH_MS) {
    void ask(page.settings, (found) => {
      const fresh = captureOf(found);
      if (!fresh) return;
      capture = fresh;
      page.remember("config", jsonOf([page.now(), { capture }]));
    });
  }
  return (action) => capture[action];
}

type Ask = (settings: Settings, answered: (found: unknown) => void) => Promise<void>;

/** Asks the collector; where it does not answer, nothing comes of it: what was asked for before is asked for still. */
const asking: Ask = async ({ collector, site }, answered) => {
  try {
    answered(await (await fetch(`${collector}/v1/sites/${site}/config.json`, { credentials: "omit", referrerPolicy: "origin" })).json());
  } catch {
    // NOTE: nothing to be done: the network is away, or a page in between has answered.
  }
};

function kept(text: string): [number, Capture] {
  try {
    const [at, found] = JSON.parse(text) as [unknown, unknown];
    return [+(at as number) || 0, captureOf(found) ?? table()];
  } catch {
    return [0, table()];
  }
}

/** The configuration if it is one; only lists of plain values under names of actions count. */
export function captureOf(found: unknown): Capture | undefined {
  const capture = (found as { capture?: unknown } | null)?.capture;
  if (!/^{/.test(jsonOf(capture))) return undefined;
  const asked: Capture = table();
  for (const [action, values] of Object.entries(capture as object)) {
    if (Array.isArray(values)) asked[action] = values.filter((value): value is Scalar => /^(st|nu)/.test(typeof value)).slice(0, 200);
  }
  return asked;
}
