import { cut } from "./text";

const warn = console.warn;

/** Says something on the console: never a token, never an address, and of an error no more than its name. */
export function say(text: string, error?: unknown): void {
  try {
    warn(`segma: ${text} ${cut(`${(error as Error | undefined)?.name ?? ""}`, 30)}`);
  } catch {
    // NOTE: a page may have exchanged its console, or thrown something that cannot be looked at.
  }
}

/** A task of up to two arguments whose errors never reach the page. */
export const calm =
  <A, B, T>(task: (one: A, other: B) => T) =>
  (one?: A, other?: B): T | undefined => {
    try {
      return task(one as A, other as B);
    } catch (error) {
      return say("error", error) as undefined;
    }
  };

/** Listens passively on the way down, where nobody has stopped an event yet; an error of ours stays ours. */
export function listen(type: string, handler: (event: never) => void, where: EventTarget = window, once = false): void {
  where.addEventListener(type, calm(handler) as () => void, { capture: true, passive: true, once });
}

/** Runs a task; what goes wrong is said on the console and never reaches the page. */
export const quietly = <T>(task: () => T): T | undefined => calm(task)();
