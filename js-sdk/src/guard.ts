import { table } from "./table";

/** A page that goes wild must not drown the collector: far above what a person does. */
export const MAX_PER_ACTION = 60;
export const PER_MS = 10_000;
export const MAX_PER_PAGE = 2_000;

/** Admits so many events of one action in ten seconds, and so many of all before the page is loaded anew. */
export function guard(): (action: string, now: number) => boolean {
  const since = table<[number, number]>();
  let total = 0;
  return (action, now) => {
    let [begun, count] = since[action] ?? [now, 0];
    if (now - begun >= PER_MS) [begun, count] = [now, 0];
    if (count >= MAX_PER_ACTION || total >= MAX_PER_PAGE) return false;
    since[action] = [begun, count + 1];
    total += 1;
    return true;
  };
}
