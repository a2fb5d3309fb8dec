import { Consent } from "./consent";
import { cleaned } from "./element";
import { Guard } from "./guard";
import { landingOf, randomId, Who, type Landing } from "./identity";
import { outletTo } from "./outlet";
import { Pages } from "./pages";
import { Queue } from "./queue";
import { Spool } from "./spool";
import { browserStorage, Store } from "./store";
import { isAction, type Feature, type Identity, type Page, type Properties, type SentEvent, type Settings } from "./words";

/** What the page may call. Nothing of it throws. */
export interface Api {
  /** Tells of an action, one of the vocabulary or one that the workspace's `actions.yaml` declares. */
  track(action: string, properties?: Properties): void;
  /** Somebody logged in: the token that your server made for them with Segma's keys. */
  identify(token: string): void;
  /** Somebody logged out: from here on this browser is nobody's, on a new device. */
  reset(): void;
  /** The person's answer; it is remembered. */
  consent(yes: boolean): void;
}

const MAX_EVENT_CHARS = 10_000;
const Id = /^[\w.:-]{1,64}$/;

/** Runs a task; what goes wrong is said on the console and never reaches the page. */
export function quietly<T>(task: () => T): T | undefined {
  try {
    return task();
  } catch (error) {
    console.warn("segma:", error);
    return undefined;
  }
}

/** The SDK on one page. */
export class Segma implements Api, Page {
  private readonly store: Store;
  private readonly consentOf: Consent;
  private readonly who: Who;
  private readonly queue: Queue;
  private readonly guard = new Guard();
  private readonly views: (() => void)[] = [];
  private readonly ends: (() => void)[] = [];
  private readonly pages: Pages;
  private pending: (() => void)[] = [];
  private started = false;
  private landingTold = false;
  private login = "";

  constructor(
    readonly settings: Settings,
    private readonly features: readonly Feature[],
    private readonly landing: Landing,
  ) {
    this.store = new Store(browserStorage(), `segma.${settings.site}.`);
    this.consentOf = new Consent(this.store, navigator as Navigator & { globalPrivacyControl?: boolean }, settings.consent);
    this.who = new Who(this.store, randomId);
    this.queue = new Queue(settings.site, outletTo(settings.collector), new Spool(this.store, Date.now, randomId()), () => this.lastWord());
    this.pages = new Pages(
      (action, properties, at, id) => this.record(action, properties, at, id),
      randomId,
      settings,
      () => this.views.forEach(quietly),
    );
  }

  track(action: string, properties: Properties = {}): void {
    quietly(() => {
      this.drain();
      if (!isAction(action)) console.warn("segma: an action is snake_case, up to 64 characters:", action);
      else this.record(action, properties);
    });
  }

  identify(token: string): void {
    quietly(() => {
      this.drain();
      this.login = typeof token === "string" && token.length <= 2048 ? token : "";
      this.loggedIn();
    });
  }

  reset(): void {
    quietly(() => {
      this.drain();
      this.login = "";
      this.who.forget();
    });
  }

  consent(yes: boolean): void {
    quietly(() => {
      this.drain();
      this.consentOf.answer(yes);
      if (yes) this.start();
      else this.withdraw();
    });
  }

  start(): void {
    if (!this.consentOf.given) return;
    this.store.open = this.consentOf.known;
    if (this.store.open) this.store.unlock();
    const first = !this.started;
    this.started = true;
    if (first) this.queue.resume();
    this.landed();
    this.loggedIn();
    if (!first) return;
    for (const feature of this.features) if (!this.settings.off.includes(feature.name)) quietly(() => feature.start(this));
    this.pages.start();
    this.watchTheEnd();
  }

  tell(action: string, properties: Properties, id?: string): void {
    const at = Date.now();
    if (!this.pending.length) setTimeout(() => this.drain());
    this.pending.push(() => this.record(action, properties, at, id));
  }

  on(type: string, handler: (event: never) => void, where: EventTarget = document): void {
    where.addEventListener(type, (event) => quietly(() => handler(event as never)), { capture: true, passive: true });
  }

  ask(): Promise<unknown> {
    const { collector, site } = this.settings;
    const url = `${collector}/v1/sites/${encodeURIComponent(site)}/config.json`;
    return fetch(url, { credentials: "omit", referrerPolicy: "origin" }).then((answer) => answer.json());
  }

  now(): number {
    return Date.now();
  }

  viewed(task: () => void): void {
    this.views.push(task);
  }

  leaving(task: () => void): void {
    this.ends.push(task);
  }

  remember(name: string, text?: string): string {
    if (text !== undefined) this.store.set(name, text);
    return this.store.get(name);
  }

  private landed(): void {
    const { token, click, campaign } = this.landing;
    if (this.landingTold || !this.consentOf.known || !(token || click)) return;
    this.landingTold = true;
    const who = this.who.landed(this.landing);
    const other = who.device !== this.who.now().device;
    const properties = { path: location.pathname, ...(campaign ? { campaign } : {}), ...(other ? { shared: true } : {}) };
    // NOTE: the redirect's record has this id too: two doors, one event.
    this.record("email_clicked", properties, Date.now(), click ? `c-${click}` : randomId(), who);
  }

  private loggedIn(): void {
    if (this.login && this.started && this.consentOf.known) this.who.identify(this.login);
  }

  private record(action: string, properties: Properties, at = Date.now(), id?: string, who?: Identity): void {
    if (!this.started || !this.consentOf.given || !this.guard.admits(action, at)) return;
    const event = this.eventOf(action, properties, at, id);
    if (event) this.queue.add(who ?? this.who.now(), event);
  }

  private eventOf(action: string, properties: Properties, at: number, id = ""): SentEvent | undefined {
    const text = cleaned(JSON.stringify(properties));
    if (text.length > MAX_EVENT_CHARS) {
      console.warn("segma: too much said of", action);
      return undefined;
    }
    const order = this.who.nextOrder();
    return { event_id: Id.test(id) ? id : randomId(), action, occurred_at_ms: at, order, properties: JSON.parse(text) as Properties };
  }

  private lastWord(): [Identity, SentEvent] | undefined {
    const last = this.started && this.consentOf.given ? this.pages.closing() : undefined;
    if (!last) return undefined;
    const event = { event_id: last.id, action: "page_closed", occurred_at_ms: Date.now(), order: this.who.lastOrder() + 1, properties: last.properties };
    return [this.who.now(), event];
  }

  private drain(): void {
    const tasks = this.pending;
    this.pending = [];
    tasks.forEach(quietly);
  }

  private withdraw(): void {
    this.queue.clear();
    this.who.forget();
    for (const name of ["config", "searched"]) this.store.remove(name);
  }

  private watchTheEnd(): void {
    const leave = (): void =>
      void quietly(() => {
        this.drain();
        this.pages.settle();
        this.queue.leave();
      });
    const back = (): void => void quietly(() => this.consentOf.given && this.queue.resume());
    window.addEventListener("pagehide", () => {
      this.ends.forEach(quietly);
      quietly(() => (this.drain(), this.pages.close()));
      leave();
    });
    document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? leave() : back()));
    window.addEventListener("pageshow", back);
    window.addEventListener("online", back);
  }
}

const history_ = history;
const replaceState = history.replaceState;

/** Takes what a link brought out of the address bar and makes the SDK, to be started when the page is shown. */
export function installed(settings: Settings, features: readonly Feature[], href: string): Segma {
  const landing = landingOf(href, settings);
  if (landing.cleaned !== undefined) replaceState.call(history_, history_.state, "", landing.cleaned);
  return new Segma(settings, features, landing);
}

/** Runs when the page is shown: a prerendered one may never be seen. */
export function whenShown(task: () => void): void {
  if ((document as Document & { prerendering?: boolean }).prerendering) document.addEventListener("prerenderingchange", task, { once: true });
  else task();
}
