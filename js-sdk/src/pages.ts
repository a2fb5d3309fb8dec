import { urlOf } from "./urls";
import type { Properties, Settings } from "./words";

type Track = (action: string, properties: Properties, at?: number, id?: string) => void;

/** Page views, also of pages that are exchanged in place, come back from the browser's cache or were prerendered. */
export class Pages {
  private path = "";
  private referrer = "";
  private visibleSince = 0;
  private visibleMs = 0;
  private waiting: (() => void) | undefined;
  private closed = true;
  private closeId = "";

  constructor(
    private readonly track: Track,
    private readonly newId: () => string,
    private readonly settings: Pick<Settings, "hashRouting" | "params">,
    private readonly viewed: () => void,
  ) {}

  /** Watches navigation and tells of the page that is open now. */
  start(): void {
    const navigation = (window as Window & { navigation?: EventTarget }).navigation;
    // NOTE: the Navigation API tells of every change in place without a patch of the page's `history`.
    if (navigation) navigation.addEventListener("currententrychange", () => this.moved());
    else {
      for (const name of ["pushState", "replaceState"] as const) this.watch(name);
      for (const name of ["popstate", "hashchange"]) window.addEventListener(name, () => this.moved());
    }
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
    const last = this.closing();
    this.closed = true;
    if (last) this.track("page_closed", last.properties, Date.now(), last.id);
  }

  /** The end of this page as it would be told now; undefined where it has been told. */
  closing(): { properties: Properties; id: string } | undefined {
    if (this.closed) return undefined;
    this.clock();
    return { properties: { path: this.path, visible_ms: Math.round(this.visibleMs) }, id: this.closeId };
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

  private here(): string {
    return location.pathname + (this.settings.hashRouting ? location.hash.replace(/\?.*/s, "") : "");
  }

  private moved(): void {
    if (this.here() === this.path || this.closed) return;
    this.close();
    this.view(location.host);
  }

  private view(referrer: string): void {
    this.settle();
    const at = Date.now();
    this.path = this.here();
    this.referrer = referrer;
    this.visibleMs = 0;
    this.visibleSince = document.visibilityState === "visible" ? performance.now() : 0;
    this.closed = false;
    this.closeId = this.newId();
    const url = urlOf(location, this.settings.params);
    // NOTE: single-page applications set the title just after the address; a task later it is there.
    const tell = (): void => {
      this.track("page_viewed", { ...this.described(), url }, at);
      this.viewed();
    };
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
