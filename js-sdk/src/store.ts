import { table } from "./table";

/** What `localStorage` offers of itself here. */
export type Backing = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export type Store = ReturnType<typeof storeIn>;

/** First-party storage of one site key; where the browser refuses it, memory that lasts as long as the page. */
export function storeIn(backing: Backing | undefined, prefix: string) {
  const memory = table<string>();
  /** What was read or written last. */
  const seen = table<string>();
  let open = true;
  /** What is written when the page's last words are on their way. */
  let held: (() => void)[] | undefined;

  const kept = (name: string): string => {
    try {
      return (seen[name] = memory[name] ?? (held ? seen[name] : backing?.getItem(prefix + name)) ?? "");
    } catch {
      return "";
    }
  };

  /** Runs what touches the disk: at once, or after a page's last words. */
  const touch = (task: () => void): void => {
    if (held) held.push(task);
    else task();
  };

  const keep = (name: string, value: string, always = false): void => {
    seen[name] = value;
    touch(() => {
      try {
        if (!backing || !(open || always)) throw 0;
        backing.setItem(prefix + name, value);
        delete memory[name];
      } catch {
        memory[name] = value;
      }
    });
  };

  /** The names that begin so. */
  const names = (start: string): string[] => {
    const all = [...Object.keys(memory).map((name) => prefix + name), ...Object.keys(backing ?? {})];
    return all.filter((key) => !key.indexOf(prefix + start)).map((key) => key.slice(prefix.length));
  };

  const erase = (...names: string[]): void => {
    for (const name of names) {
      delete memory[name];
      delete seen[name];
      try {
        backing?.removeItem(prefix + name);
      } catch {
        // NOTE: a browser that refuses storage has nothing of ours to remove.
      }
    }
  };

  /** Whether anything may be written to the disk; until then everything stays in memory, and is written down then. */
  const permit = (allowed: boolean): void => {
    open = allowed;
    if (open) for (const [name, value] of Object.entries(memory)) keep(name, value ?? "");
  };

  /** Runs a page's last words without a look at the disk: Firefox ends a page that is closed at the first one. */
  const ahead = (task: () => void): void => {
    const tasks: (() => void)[] = (held = []);
    task();
    held = undefined;
    for (const each of tasks) touch(each);
  };

  return { kept, keep, names, erase, permit, touch, ahead };
}

/** `localStorage`, or undefined where even looking at it throws. */
export function browserStorage(): Backing | undefined {
  try {
    return window.localStorage;
  } catch {
    return undefined;
  }
}
