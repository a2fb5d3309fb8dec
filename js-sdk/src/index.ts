/** Segma as a module: `start({ site, collector }, [forms, scroll])`. What is not imported is not shipped. */
import { quietly, say } from "./say";
import { installed, whenShown, type Api } from "./segma";
import { settled } from "./settings";
import type { Feature, Settings } from "./words";

export * from "./features/index";
export type { Api, Feature, Settings };

/** What `start` needs, and what it may be told beside it. */
export type Options = Pick<Settings, "site" | "collector"> & Partial<Settings>;

const NOTHING: Api = { track() {}, identify() {}, reset() {}, consent() {} };
let running: Api | undefined;

/** Starts the SDK; the second call gets the first one's. With wrong options it says so on the console and does nothing. */
export function start(options: Options, features: readonly Feature[] = []): Api {
  if (running) return running;
  const settings = settled(options);
  if (!settings) say("start needs site and collector");
  const segma = settings && quietly(() => installed(settings, features, location.href));
  if (!segma) return NOTHING;
  whenShown(() => quietly(() => segma.begin()));
  return (running = segma.api);
}
