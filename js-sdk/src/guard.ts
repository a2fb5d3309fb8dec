/** A page that goes wild must not drown the collector: far above what a person does. */
export const MAX_PER_ACTION = 60;
export const PER_MS = 10_000;
export const MAX_PER_PAGE = 2_000;

/** Admits so many events of one action in ten seconds, and so many of all before the page is loaded anew. */
export class Guard {
  private readonly since = new Map<string, [number, number]>();
  private total = 0;

  admits(action: string, now: number): boolean {
    const [begun, count] = this.since.get(action) ?? [now, 0];
    const fresh = now - begun >= PER_MS;
    if ((!fresh && count >= MAX_PER_ACTION) || this.total >= MAX_PER_PAGE) return false;
    this.since.set(action, fresh ? [now, 1] : [begun, count + 1]);
    this.total += 1;
    return true;
  }
}
