/** Segma as a module: `start({ site, collector }, [forms, scroll])`. What is not imported is not shipped. */
import { quietly, say } from "./say";
import { installed, whenShown, type Api } from "./segma";
import { settled } from "./settings";
import type { Asked, Feature, Form, Page, Properties, Scalar, Settings, Told } from "./words";

export * from "./features/index";
export type { Api, Asked, Feature, Form, Page, Properties, Scalar, Settings, Told };

/** What {@link start} needs, the site's key and the collector's origin, and every setting that it may be told beside them. */
export type Options = Pick<Settings, "site" | "collector"> & Partial<Settings>;

const NOTHING: Api = { track() {}, identify() {}, reset() {}, consent() {} };
let running: Api | undefined;

/**
 * Starts the SDK on this page and tells of its view, once it is shown. A second call gets what the first one got.
 *
 * It throws nothing. With options that name no site or no usable address it says so on the console, and what it gives does
 * nothing: a page goes on as if Segma were not there.
 *
 * @param options - The site, the collector, and what is to be otherwise than by default.
 * @param features - What is captured beside page views, mail clicks and the page's own calls; none by default.
 * @returns What the page may call.
 * @example
 * ```js
 * const segma = start({ site: "KEY", collector: "https://collector.example" }, [clicks, forms]);
 * segma.track("quiz_finished", { points: 7 });
 * ```
 */
export function start(options: Options, features: readonly Feature[] = []): Api {
  if (running) return running;
  const settings = settled(options);
  if (!settings) say("start needs site and collector");
  const segma = settings && quietly(() => installed(settings, features, location.href));
  if (!segma) return NOTHING;
  whenShown(() => quietly(() => segma.begin()));
  return (running = segma.api);
}
