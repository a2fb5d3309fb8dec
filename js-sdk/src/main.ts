/**
 * Segma in the browser: `<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>`.
 *
 * `window.segma.track(action, properties)` and `window.segma.consent(boolean)`; calls made before the script came are
 * taken from `window.segma.q`. Nothing here throws into the host page, and no value of a field is ever read.
 */
import { Consent } from "./consent";
import { watchGestures } from "./gestures";
import { landingOf, randomId, Who, type Landing } from "./identity";
import { Pages } from "./pages";
import { Queue, type Outlet } from "./queue";
import { settingsOf } from "./settings";
import { Spool } from "./spool";
import { browserStorage, Store } from "./store";
import { isAction, type Properties, type Settings } from "./words";

interface Api {
  track(action: string, properties?: Properties): void;
  consent(yes: boolean): void;
}

declare global {
  interface Window {
    segma?: Partial<Api> & { q?: [keyof Api, ...unknown[]][] };
  }
}

function outletTo(collector: string): Outlet {
  const url = `${collector}/v1/beacons`;
  return {
    async post(body) {
      // NOTE: text/plain needs no preflight; keepalive lets the request outlive the page.
      const headers = { "content-type": "text/plain" };
      const answer = await fetch(url, { method: "POST", body, headers, keepalive: true, credentials: "omit" });
      return { status: answer.status, retryAfter: answer.headers.get("retry-after") };
    },
    beacon: (body) => navigator.sendBeacon(url, body),
    now: Date.now,
    random: Math.random,
    later: (task, afterMs) => setTimeout(task, afterMs),
    cancel: (timer) => clearTimeout(timer as number),
  };
}

class Segma implements Api {
  private readonly consentOf: Consent;
  private readonly who: Who;
  private readonly queue: Queue;
  private readonly pages = new Pages((action, properties, at) => this.record(action, properties, at));
  private started = false;

  constructor(
    settings: Settings,
    private readonly landing: Landing,
  ) {
    const store = new Store(browserStorage(), `segma.${settings.site}.`);
    this.consentOf = new Consent(store, navigator as Navigator & { globalPrivacyControl?: boolean }, settings.consentRequired);
    this.who = new Who(store, randomId);
    this.queue = new Queue(settings.site, outletTo(settings.collector), new Spool(store, Date.now));
  }

  track(action: string, properties: Properties = {}): void {
    quietly(() => {
      if (!isAction(action)) console.warn("segma: an action is snake_case, up to 64 characters:", action);
      else this.record(action, properties);
    });
  }

  consent(yes: boolean): void {
    quietly(() => {
      this.consentOf.answer(yes);
      if (yes) this.start();
      else this.withdraw();
    });
  }

  start(): void {
    if (!this.consentOf.given || this.started) return;
    this.started = true;
    this.who.landed(this.landing);
    this.queue.resume();
    if (this.landing.token || this.landing.click) this.landed();
    this.pages.start();
    watchGestures((action, properties) => quietly(() => this.record(action, properties)));
    this.watchTheEnd();
  }

  private landed(): void {
    const { click, campaign } = this.landing;
    const properties = { path: location.pathname, ...(campaign ? { campaign } : {}) };
    // NOTE: the redirect's record has this id too: two doors, one event.
    this.record("email_clicked", properties, Date.now(), click ? `c-${click}` : randomId());
  }

  private record(action: string, properties: Properties, at = Date.now(), id = randomId()): void {
    if (!this.started || !this.consentOf.given) return;
    const copy = JSON.parse(JSON.stringify(properties)) as Properties;
    const event = { event_id: id, action, occurred_at_ms: at, order: this.who.nextOrder(), properties: copy };
    this.queue.add(this.who.now(), event);
  }

  private withdraw(): void {
    this.queue.clear();
    this.who.forget();
  }

  private watchTheEnd(): void {
    const leave = (): void => quietly(() => (this.pages.settle(), this.queue.leave()));
    const back = (): void => quietly(() => this.consentOf.given && this.queue.resume());
    window.addEventListener("pagehide", () => quietly(() => (this.pages.close(), leave())));
    document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? leave() : back()));
    window.addEventListener("pageshow", back);
    window.addEventListener("online", back);
  }
}

function quietly(task: () => unknown): void {
  try {
    task();
  } catch (error) {
    console.warn("segma:", error);
  }
}

function boot(settings: Settings): void {
  const landing = landingOf(location.href, settings);
  if (landing.cleaned !== undefined) history.replaceState(history.state, "", landing.cleaned);
  const early = window.segma?.q ?? [];
  const segma = new Segma(settings, landing);
  const api: Api = { track: segma.track.bind(segma), consent: segma.consent.bind(segma) };
  window.segma = api;
  const begin = (): void =>
    quietly(() => {
      segma.start();
      for (const [name, ...args] of early) (api[name] as ((...given: unknown[]) => void) | undefined)?.(...args);
    });
  // NOTE: a prerendered page may never be seen.
  if ((document as Document & { prerendering?: boolean }).prerendering) {
    document.addEventListener("prerenderingchange", begin, { once: true });
  } else begin();
}

quietly(() => {
  const script = document.currentScript as HTMLScriptElement | null;
  const settings = script ? settingsOf(script) : undefined;
  if (settings) boot(settings);
  else console.warn("segma: the script tag needs data-site");
});
