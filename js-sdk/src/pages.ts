import { urlOf } from "./urls";
import type { Properties, Settings } from "./words";

type Track = (at: number, action: string, properties: Properties, id?: string) => void;

/** Page views, also of pages that are exchanged in place, come back from the browser's cache or were prerendered. */
export function pagesOf(track: Track, newId: () => string, settings: Pick<Settings, "hashRouting" | "params">, viewed: () => void) {
  let path = "";
  let visibleSince = 0;
  let visibleMs = 0;
  let waiting: (() => void) | undefined;
  let closed = true;
  let closeId = "";

  const clock = (): void => {
    if (visibleSince) visibleMs += performance.now() - visibleSince;
    visibleSince = document.hidden ? 0 : performance.now();
  };

  const here = (): string => location.pathname + (settings.hashRouting ? location.hash.split("?")[0] : "");

  /** Tells of what has happened but was not told yet; before anything is sent for the last time. */
  const settle = (): void => {
    const task = waiting;
    waiting = undefined;
    task?.();
  };

  const described = (referrer: string): Properties => {
    const category = document.body?.dataset["segmaCategory"] ?? document.querySelector<HTMLMetaElement>("meta[name=segma-category]")?.content;
    return {
      path,
      title: document.title.slice(0, 200),
      ...(category ? { category: category.slice(0, 100) } : {}),
      ...(referrer ? { referrer } : {}),
    };
  };

  const view = (referrer: string): void => {
    settle();
    const at = Date.now();
    path = here();
    visibleMs = visibleSince = 0;
    clock();
    closed = false;
    closeId = newId();
    const url = urlOf(location, settings.params);
    // NOTE: single-page applications set the title just after the address; a task later it is there.
    const tell = (): void => {
      track(at, "page_viewed", { ...described(referrer), url });
      viewed();
    };
    waiting = tell;
    setTimeout(() => waiting === tell && settle());
  };

  const loaded = (): void => {
    const timing = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming | undefined;
    settle();
    track(Date.now(), "page_loaded", { path, load_ms: Math.round(timing?.loadEventEnd ?? 0) });
  };

  /** The end of this page as it would be told now; undefined where it has been told. */
  const closing = (): { properties: Properties; id: string } | undefined => {
    if (closed) return undefined;
    clock();
    return { properties: { path, visible_ms: Math.round(visibleMs) }, id: closeId };
  };

  const closeUp = (): void => {
    settle();
    const last = closing();
    closed = true;
    if (last) track(Date.now(), "page_closed", last.properties, last.id);
  };

  const moved = (): void => {
    if (here() === path || closed) return;
    closeUp();
    view(location.host);
  };

  const watch = (name: "pushState" | "replaceState"): void => {
    const original = history[name];
    history[name] = (...args: Parameters<History["pushState"]>): void => {
      original.apply(history, args);
      try {
        moved();
      } catch {
        // NOTE: nothing of ours may break the host page's navigation.
      }
    };
  };

  /** Watches navigation and tells of the page that is open now. */
  const begin = (): void => {
    const { navigation } = window as Window & { navigation?: EventTarget };
    // NOTE: the Navigation API tells of every change in place without a patch of the page's `history`.
    if (navigation) navigation.addEventListener("currententrychange", moved);
    else {
      watch("pushState");
      watch("replaceState");
      for (const name of ["popstate", "hashchange"]) addEventListener(name, moved);
    }
    addEventListener("pageshow", (event) => event.persisted && view(""));
    document.addEventListener("visibilitychange", clock);
    view(document.referrer.split("/")[2] ?? "");
    if (document.readyState === "complete") loaded();
    else addEventListener("load", () => setTimeout(loaded));
  };

  return { begin, settle, closeUp, closing };
}
