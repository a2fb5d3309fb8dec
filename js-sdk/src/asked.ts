import { jsonOf } from "./text";
import type { Page, Scalar, Settings } from "./words";

/** How long a site's configuration is believed without asking again. */
export const FRESH_MS = 300_000;

type Capture = Record<string, readonly Scalar[]>;

/** What live listeners name of an action that is captured only where asked for; undefined where nobody asks. */
export type Asked = (action: string) => readonly Scalar[] | undefined;

const known = new WeakMap<Page, Asked>();

/**
 * What the site's live listeners ask for and its settings allow: action → the values that they name. It is read from
 * the collector, kept for five minutes, never waited for; where it cannot be had, the last known one holds, else none.
 */
export function askedOf(page: Page, ask: Ask = asking): Asked {
  let asked = known.get(page);
  if (!asked) {
    let [at, capture] = kept(page.remember("config"));
    asked = (action) => (Object.hasOwn(capture, action) ? capture[action] : undefined);
    known.set(page, asked);
    const age = page.now() - at;
    if (age < 0 || age >= FRESH_MS) {
      void ask(page.settings, (found) => {
        const fresh = captureOf(found);
        if (!fresh) return;
        capture = fresh;
        page.remember("config", jsonOf([page.now(), { capture }]));
      });
    }
  }
  return asked;
}

type Ask = (settings: Settings, answered: (found: unknown) => void) => Promise<void>;

/** Asks the collector; where it does not answer, nothing comes of it: what was asked for before is asked for still. */
const asking: Ask = async ({ collector, site }, answered) => {
  try {
    answered(await (await fetch(`${collector}/v1/sites/${encodeURIComponent(site)}/config.json`, { credentials: "omit", referrerPolicy: "origin" })).json());
  } catch {
    // NOTE: nothing to be done: the network is away, or a page in between has answered.
  }
};

function kept(text: string): [number, Capture] {
  try {
    const [at, found] = JSON.parse(text) as [unknown, unknown];
    return [+(at as number) || 0, captureOf(found) ?? {}];
  } catch {
    return [0, {}];
  }
}

/** The configuration if it is one; only lists of plain values under names of actions count. */
export function captureOf(found: unknown): Capture | undefined {
  const capture = (found as { capture?: unknown } | null)?.capture;
  if (typeof capture !== "object" || !capture || Array.isArray(capture)) return undefined;
  const lists = Object.entries(capture).filter(([, values]) => Array.isArray(values)) as [string, unknown[]][];
  return Object.fromEntries(
    lists.map(([action, values]) => [action, values.filter((value): value is Scalar => /^(st|nu)/.test(typeof value)).slice(0, 200)]),
  );
}
