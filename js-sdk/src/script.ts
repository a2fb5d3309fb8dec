/**
 * Segma by a script tag: `<script src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>`.
 *
 * `window.segma` has `track`, `identify`, `reset` and `consent`; calls made before the script came are taken from
 * `window.segma.q`. Nothing here throws into the host page, and no value of a field is ever sent.
 */
import { globalOf } from "./globals";
import { quietly, say } from "./say";
import { installed, whenShown, type Api } from "./segma";
import { settingsOf } from "./settings";
import type { Feature } from "./words";

/** What stands in `window.segma`: the loader's queue first, then the API. */
interface Global extends Partial<Api> {
  /** Calls that came before the script. */
  q?: [keyof Api, ...unknown[]][];
  /** The landing's address, where the loader has cleaned the bar already. */
  l?: string;
  /** Set by the loader: what its script tag says. */
  s?: HTMLScriptElement;
  /** The script has run. */
  v?: 1;
}

declare global {
  interface Window {
    segma?: Global;
  }
}

/** Starts the SDK that the current script tag configures; a second tag changes nothing. */
export function boot(features: readonly Feature[]): void {
  quietly(() => {
    const before = globalOf<Global>("segma");
    if (before?.v) return;
    const saidBy = (tag: Element | undefined | null) => tag && settingsOf(tag as HTMLScriptElement);
    // NOTE: a module is not told which tag it came by, and what a page's own loader runs may stand in a tag of the loader's.
    const settings = saidBy(document.currentScript) || saidBy(before?.s) || saidBy(document.querySelector("script[data-site][src*=segma]"));
    if (!settings) return say("no data-site");
    const { api, begin } = installed(settings, features, before?.l ?? location.href);
    window.segma = { ...api, v: 1 };
    whenShown(() =>
      quietly(() => {
        begin();
        for (const [name, ...args] of before?.q ?? []) (api[name] as ((...given: unknown[]) => void) | undefined)?.(...args);
      }),
    );
  });
}
