import { consentIn } from "./consent";
import { guard } from "./guard";
import { isToken, landingOf, randomId, whoIn } from "./identity";
import { outletTo } from "./outlet";
import { pagesOf } from "./pages";
import { queueTo } from "./queue";
import { targetOf } from "./element";
import { calm, listen, quietly, say } from "./say";
import { spoolIn } from "./spool";
import { browserStorage, storeIn } from "./store";
import { plain } from "./text";
import { isAction, type Batch, type Feature, type Form, type Identity, type Page, type Properties, type SentEvent, type Settings, type Told } from "./words";

/** What the page may call. Nothing of it throws or waits: what goes wrong is a warning on the console, without a value of the page's. */
export interface Api {
  /**
   * Tells of an action that happened now.
   *
   * @param action - One of the vocabulary (`segma actions`), or one that the workspace's `actions.yaml` declares: lower-case
   * letters, digits and `_`, a letter first, 64 characters at most. Another name is not told, with a warning.
   * @param properties - Texts, numbers, switches, lists and objects of these. Dates and `BigInt` become texts; functions, circles
   * and what does not fit into 10,000 characters are left out. Addresses of people and numbers of cards are cut out.
   */
  track(action: string, properties?: Properties): void;
  /**
   * Somebody logged in: from here on what this browser does is theirs.
   *
   * @param token - The one that your server made for them with Segma's keys; never an address or an id. What has not the form of
   * a token changes nothing.
   */
  identify(token: string): void;
  /** Somebody logged out: from here on this browser is nobody's, on a new device. */
  reset(): void;
  /**
   * The person's answer to whether they agree; it is remembered. A browser that sends Global Privacy Control or Do Not Track
   * has said no, whatever is answered here.
   *
   * @param yes - With `false` all that waits is dropped, in all tabs, and who they are is forgotten.
   */
  consent(yes: boolean): void;
}

function run(tasks: readonly (() => void)[]): void {
  for (const task of tasks) quietly(task);
}

const replaceState = history.replaceState.bind(history);

const eventOf = (at: number, action: string, properties: Properties, id: string, order: number): SentEvent => ({ event_id: id, action, occurred_at_ms: at, order, properties });

/**
 * The SDK on one page: what the page may call, and its beginning, for when the page is shown. What a link brought (`href`)
 * is out of the address bar then.
 */
export function installed(settings: Settings, features: readonly Feature[], href: string): { api: Api; begin: () => void } {
  const store = storeIn(browserStorage(), `segma.${settings.site}.`);
  const consent = consentIn(store, navigator, settings.consent);
  const who = whoIn(store, randomId);
  const admits = guard();
  const views: (() => void)[] = [];
  const ends: (() => void)[] = [];
  let pending: (() => void)[] = [];
  let started = false;
  let landing = landingOf(href, settings);
  let landingTold = false;
  let login = "";
  let formed: Form = (_, properties, id) => [properties, id];

  const lastWord = (): Batch | undefined => {
    const last = started && consent.given() ? pages.closing() : undefined;
    if (!last) return undefined;
    return { ...who.now(), events: [eventOf(Date.now(), "page_closed", ...last, who.lastOrder() + 1)] };
  };

  const outlet = outletTo(settings.collector);
  const queue = queueTo(settings.site, outlet, spoolIn(store, Date.now, randomId), lastWord);

  const drain = (): void => {
    const tasks = pending;
    pending = [];
    run(tasks);
  };

  const record = (at: number, action: string, properties: unknown, id = "", order?: number, identity?: Identity): void => {
    // NOTE: what waits was before: the click that leads to another page in place.
    drain();
    if (!started || !consent.given()) return;
    const [said, own] = formed(action, plain(properties), id);
    // NOTE: what has an id of its own comes once: an order may have more lines than a person has gestures.
    if (own || admits(action, at)) queue.take(identity ?? who.now(), eventOf(at, action, said, own || randomId(), order ?? who.nextOrder()));
  };

  /** Takes what a link brought out of the address bar, now or by a change of the fragment. */
  const clean = (): void => {
    const found = landingOf(location.href, settings);
    if (found.cleaned === undefined) return;
    landing = found;
    landingTold = false;
    // NOTE: a sandboxed frame may not change its address.
    quietly(() => replaceState(history.state, "", found.cleaned));
  };

  const later = (describe: () => Told): void => {
    const at = Date.now();
    if (!pending.length) setTimeout(drain);
    pending.push(() => record(at, ...describe()));
  };

  const page = (late: boolean): Page => ({
    settings,
    late,
    later,
    tell: (...told) => later(() => told),
    on: (type, handler, where, once) => listen(type, (event: Event) => handler(event as never, targetOf(event)), where, once),
    now: Date.now,
    formed: (task) => void (formed = task),
    viewed: (task) => void views.push(task),
    leaving: (task) => void ends.push(task),
    remember(name, text) {
      if (text !== undefined) store.keep(name, text);
      return store.kept(name);
    },
  });

  const landed = (): void => {
    const { token, broken, click, campaign } = landing;
    if (landingTold || !started || !consent.known() || !(token || click || broken !== undefined)) return;
    landingTold = true;
    const identity = who.landed(landing);
    const other = identity.device !== who.now().device;
    const problem = broken === undefined ? broken : "token_malformed";
    const properties = { path: location.pathname, campaign: campaign || undefined, shared: other || undefined, token_problem: problem };
    // NOTE: the redirect's record has this id too: two doors, one event. What is no token is told once, and kept nowhere.
    record(Date.now(), "email_clicked", properties, click && `c-${click}`, undefined, broken === undefined ? identity : { ...identity, token: broken });
  };

  const pages = pagesOf(record, randomId, who.nextOrder, settings, () => run(views), clean, landed);
  clean();
  listen("hashchange", pages.moved);

  const loggedIn = (): void => {
    if (login && started && consent.known()) who.identify(login);
  };

  const watchTheEnd = (): void => {
    const leave = (end?: () => void): void =>
      store.ahead(() => {
        if (end) run(ends);
        drain();
        quietly(end ?? pages.settle);
        quietly(queue.leave);
      });
    // NOTE: a "no" in one tab holds in all: what the others still have in hand goes too.
    const back = (event: Event): void => {
      // NOTE: the last words are said by what was read last.
      who.now();
      who.lastOrder();
      if (!consent.given()) queue.dropAll();
      else if (event.type !== "storage") queue.takeOver((event as PageTransitionEvent).persisted);
    };
    listen("pagehide", () => leave(pages.closeUp));
    // NOTE: without `fetchLater` a hidden page may be gone without another word: Firefox cuts a closing tab's `pagehide` off.
    listen("visibilitychange", (event: Event) => (document.hidden ? leave(outlet.outlives ? undefined : pages.tellEnd) : back(event)));
    for (const name of ["online", "pageshow", "storage"]) listen(name, back);
  };

  const begin = (late = false): void => {
    if (!consent.given()) return;
    store.permit(consent.known());
    const first = !started;
    started = true;
    if (first) queue.takeOver();
    landed();
    loggedIn();
    if (!first) return;
    const given = page(late);
    for (const { name, start } of features) if (!settings.off.includes(name)) quietly(() => start(given));
    pages.begin();
    watchTheEnd();
  };

  /** What the page calls never throws, and comes after what it did before. */
  const called = <A, B>(task: (one: A, other: B) => void) => calm((one: A, other: B) => (drain(), task(one, other))) as (one?: A, other?: B) => undefined;

  const api: Api = {
    track: called((action: string, properties: unknown) => {
      if (isAction(action)) record(Date.now(), action, properties);
      else say("no action");
    }),
    identify: called((token: string) => {
      login = isToken(token) ? token : "";
      loggedIn();
    }),
    reset: called(() => {
      login = "";
      who.forget();
    }),
    consent: called((yes: boolean) => {
      consent.answer(yes);
      if (yes) begin(true);
      else {
        queue.dropAll();
        who.forget();
        store.erase("config", "searched");
      }
    }),
  };
  return { api, begin };
}

/** Runs when the page is shown: a prerendered one may never be seen. */
export function whenShown(task: () => void): void {
  // NOTE: an element of this name is found there, too.
  if ((document as Document & { prerendering?: unknown }).prerendering === true) listen("prerenderingchange", task, document, true);
  else task();
}
