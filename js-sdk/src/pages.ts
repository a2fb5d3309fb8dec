import type { Properties } from "./words";

type Track = (action: string, properties: Properties, at?: number) => void;

/** Page views, also of pages that are exchanged in place, come back from the browser's cache or were prerendered. */
export class Pages {
  private path = "";
  private referrer = "";
  private visibleSince = 0;
  private visibleMs = 0;
  private waiting: (() => void) | undefined;
  private closed = true;

  constructor(private readonly track: Track) {}

  /** Watches navigation and tells of the page that is open now. */
  start(): void {
    for (const name of ["pushState", "replaceState"] as const) this.watch(name);
    window.addEventListener("popstate", () => this.moved());
    window.addEventListener("pageshow", (event) => event.persisted && this.view(""));
    document.addEventListener("visibilitychange", () => this.clock());
    this.view(hostOf(document.referrer));
    if (document.readyState === "complete") this.loaded();
    else window.addEventListener("load", () => setTimeout(() => this.loaded()));
  }

  /** Tells of what has happened but was not told yet; before anything is sent for the last time. */
  settle(): void {
    const task = this.waiting;
    this.waiting = undefined;
    task?.();
  }

  close(): void {
    this.settle();
    if (this.closed) return;
    this.closed = true;
    this.clock();
    this.track("page_closed", { path: this.path, visible_ms: Math.round(this.visibleMs) });
  }

  private watch(name: "pushState" | "replaceState"): void {
    const original = history[name];
    history[name] = (...args: Parameters<History["pushState"]>): void => {
      original.apply(history, args);
      try {
        this.moved();
      } catch {
        // NOTE: nothing of ours may break the host page's navigation.
      }
    };
  }

  private moved(): void {
    if (location.pathname === this.path) return;
    this.close();
    this.view(location.host);
  }

  private view(referrer: string): void {
    this.settle();
    const at = Date.now();
    this.path = location.pathname;
    this.referrer = referrer;
    this.visibleMs = 0;
    this.visibleSince = document.visibilityState === "visible" ? performance.now() : 0;
    this.closed = false;
    const url = location.origin + location.pathname;
    // NOTE: single-page applications set the title just after the address; a task later it is there.
    const tell = (): void => this.track("page_viewed", { ...this.described(), url }, at);
    this.waiting = tell;
    setTimeout(() => this.waiting === tell && this.settle());
  }

  private described(): Properties {
    const category = document.body?.dataset["segmaCategory"] ?? document.querySelector<HTMLMetaElement>("meta[name=segma-category]")?.content;
    return {
      path: this.path,
      title: document.title.slice(0, 200),
      ...(category ? { category: category.slice(0, 100) } : {}),
      ...(this.referrer ? { referrer: this.referrer } : {}),
    };
  }

  private loaded(): void {
    const timing = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming | undefined;
    this.settle();
    this.track("page_loaded", { path: this.path, load_ms: Math.round(timing?.loadEventEnd ?? 0) });
  }

  private clock(): void {
    if (this.visibleSince) this.visibleMs += performance.now() - this.visibleSince;
    this.visibleSince = document.visibilityState === "visible" ? performance.now() : 0;
  }
}

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return "";
  }
}
