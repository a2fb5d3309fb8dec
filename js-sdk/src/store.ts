/** What `localStorage` offers of itself here. */
export type Backing = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** First-party storage of one site key; where the browser refuses it, memory that lasts as long as the page. */
export class Store {
  private readonly memory = new Map<string, string>();
  /** Whether anything may be written to the disk; until then everything stays in memory. */
  open = true;

  constructor(
    private readonly backing: Backing | undefined,
    private readonly prefix: string,
  ) {}

  get(name: string): string {
    const kept = this.memory.get(name);
    if (kept !== undefined) return kept;
    try {
      return this.backing?.getItem(this.prefix + name) ?? "";
    } catch {
      return "";
    }
  }

  set(name: string, value: string, always = false): void {
    try {
      if (!this.backing || !(this.open || always)) throw 0;
      this.backing.setItem(this.prefix + name, value);
      this.memory.delete(name);
    } catch {
      this.memory.set(name, value);
    }
  }

  remove(name: string): void {
    this.memory.delete(name);
    try {
      this.backing?.removeItem(this.prefix + name);
    } catch {
      // NOTE: a browser that refuses storage has nothing of ours to remove.
    }
  }

  /** Writes down what was kept in memory: the person has agreed. */
  unlock(): void {
    this.open = true;
    for (const [name, value] of [...this.memory]) this.set(name, value);
  }
}

/** `localStorage`, or undefined where even looking at it throws. */
export function browserStorage(): Backing | undefined {
  try {
    return window.localStorage;
  } catch {
    return undefined;
  }
}
