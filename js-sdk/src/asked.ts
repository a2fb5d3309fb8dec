import type { Page, Scalar } from "./words";

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
export function askedOf(page: Page): Asked {
  let asked = known.get(page);
  if (!asked) {
    let [at, capture] = kept(page.remember("config"));
    asked = (action) => (Object.hasOwn(capture, action) ? capture[action] : undefined);
    known.set(page, asked);
    const age = page.now() - at;
    if (age < 0 || age >= FRESH_MS) {
      // NOTE: where the collector is away, what was asked for before is asked for still.
      page.ask().then(
        (found) => {
          const fresh = captureOf(found);
          if (!fresh) return;
          capture = fresh;
          page.remember("config", JSON.stringify([page.now(), { capture }]));
        },
        () => undefined,
      );
    }
  }
  return asked;
}

function kept(text: string): [number, Capture] {
  try {
    const [at, found] = JSON.parse(text) as [unknown, unknown];
    return [Number(at) || 0, captureOf(found) ?? {}];
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
