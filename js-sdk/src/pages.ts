import { globalOf } from "./globals";
import { calm, listen } from "./say";
import { cut } from "./text";
import { urlOf } from "./urls";
import type { Properties, Settings } from "./words";

type Track = (at: number, action: string, properties: Properties, id?: string, order?: number) => void;

/** Applications in one page set the title after the address. */
export const SETTLED_AFTER_MS = 200;
/** Some of them when data has come: while it is still that of the page before, it is looked at so often again. */
const LOOKS = 4;

/** Page views, also of pages that are exchanged in place, come back from the browser's cache or were prerendered. */
export function pagesOf(track: Track, newId: () => string, nextOrder: () => number, settings: Pick<Settings, "hashRouting" | "params">, viewed: () => void, clean: () => void, landed: () => void) {
  let path = "";
  let title: string | undefined;
  let visibleSince = 0;
  let visibleMs = 0;
  let waiting: (() => void) | undefined;
  let closed = true;
  let told = true;
  let closeId = "";

  const clock = (): void => {
    if (visibleSince) visibleMs += performance.now() - visibleSince;
    visibleSince = document.hidden ? 0 : performance.now();
  };

  const here = (): string => {
    const [route = ""] = location.hash.split(/[?&=]/);
    return location.pathname + (settings.hashRouting || /^#!?\//.test(route) ? route : "");
  };

  /** Tells of what has happened but was not told yet; before anything is sent for the last time. */
  const settle = (): void => {
    const task = waiting;
    waiting = undefined;
    task?.();
  };

  const described = (referrer: string): Properties => {
    const meta = document.querySelector<HTMLMetaElement>("meta[name=segma-category]");
    const category = (document.body && document.body.getAttribute("data-segma-category")) ?? (meta && meta.content);
    return {
      path,
      title: cut((title = document.title), 200),
      category: category ? cut(category, 100) : undefined,
      referrer: referrer || undefined,
    };
  };

  const view = (referrer: string): void => {
    settle();
    const at = Date.now();
    path = here();
    visibleMs = visibleSince = 0;
    clock();
    closed = told = false;
    closeId = newId();
    const url = urlOf(location, settings.params);
    const order = nextOrder();
    const tell = (): void => track(at, "page_viewed", { ...described(referrer), url }, "", order);
    waiting = tell;
    viewed();
    // NOTE: told when the title is settled, with the time and in the place of the navigation.
    let looks = LOOKS;
    const wait = (): unknown => setTimeout(calm(() => waiting === tell && (document.title === title && looks-- ? wait() : settle())), SETTLED_AFTER_MS);
    if (document.readyState === "loading") listen("DOMContentLoaded", wait);
    else wait();
  };

  const loaded = (): void => {
    const timing = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming | undefined;
    settle();
    track(Date.now(), "page_loaded", { path, load_ms: Math.round(timing?.loadEventEnd ?? 0) });
  };

  /** The end of this page as it would be told now; undefined where it has been told. */
  const closing = (): [Properties, string] | undefined => {
    if (told) return undefined;
    clock();
    return [{ path, visible_ms: Math.round(visibleMs) }, closeId];
  };

  /** Tells of the end, once: also where the page may only be hidden, and live on. */
  const tellEnd = (): void => {
    settle();
    const last = closing();
    told = true;
    if (last) track(Date.now(), "page_closed", ...last);
  };

  const closeUp = (): void => {
    tellEnd();
    closed = true;
  };

  /** A link's token may come without a page of its own: what is told of the page before is still the former person's. */
  const moved = (): void => {
    clean();
    const isElsewhere = here() !== path && !closed;
    if (isElsewhere) closeUp();
    landed();
    if (isElsewhere) view(location.host);
  };

  const watch = (name: "pushState" | "replaceState"): void => {
    const original = history[name];
    history[name] = (...args: Parameters<History["pushState"]>): void => {
      Reflect.apply(original, history, args);
      calm(moved)();
    };
  };

  /** Watches navigation and tells of the page that is open now. */
  const begin = (): void => {
    const navigation = globalOf<EventTarget>("navigation");
    // NOTE: the Navigation API tells of every change in place without a patch of the page's `history`.
    if (navigation) listen("currententrychange", moved, navigation);
    else {
      watch("pushState");
      watch("replaceState");
      listen("popstate", moved);
    }
    listen("pageshow", (event: PageTransitionEvent) => event.persisted && view(""));
    listen("visibilitychange", clock);
    view(document.referrer.split("/")[2] ?? "");
    if (document.readyState === "complete") loaded();
    else listen("load", () => setTimeout(calm(loaded)));
  };

  return { begin, moved, settle, tellEnd, closeUp, closing };
}
