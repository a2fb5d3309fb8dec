import type { Store } from "./store";
import type { Identity, Settings } from "./words";

/** What a landing URL tells, and the URL without what must not stay in the address bar. */
export interface Landing {
  token: string;
  click: string;
  campaign: string;
  /** Path, query and fragment to show instead; undefined where nothing has to go. */
  cleaned: string | undefined;
}

const MAX_TOKEN = 2048;
/** What the wire takes as an event's id. */
export const ID = /^[\w.:-]{1,64}$/;

type Names = Pick<Settings, "tokenParam" | "clickParam" | "campaignParam">;

/**
 * Reads a landing URL, its query and its fragment (`#sgm=…`, `#/route?sgm=…`). Only the token and the click id are taken
 * out: the campaign is everybody's. Everything else keeps its spelling.
 */
export function landingOf(href: string, names: Names): Landing {
  const url = new URL(href);
  const found: Record<string, string> = {};
  const cleaned = url.pathname + without(url.search, names, found) + without(url.hash, names, found);
  const token = found[names.tokenParam] ?? "";
  const click = found[names.clickParam] ?? "";
  return {
    token: token.length <= MAX_TOKEN ? token : "",
    click: click && ID.test(`c-${click}`) ? click : "",
    campaign: (found[names.campaignParam] ?? "").slice(0, 200),
    cleaned: token || click ? cleaned : undefined,
  };
}

/** A query, or a fragment: a route, parameters, or a route with parameters behind a question mark. */
function without(part: string, names: Names, found: Record<string, string>): string {
  const [, before = "", query = ""] = /^(#[^?=]*\?|[?#](?=[^?]*=)|.*)(.*)$/s.exec(part) ?? [];
  const kept = query.split("&").filter((each) => {
    // NOTE: the others keep their spelling; URLSearchParams would write them anew.
    const [[name = "", value = ""] = []] = new URLSearchParams(each);
    if (name) found[name] ??= value;
    return each && name !== names.tokenParam && name !== names.clickParam;
  });
  return kept.length ? before + kept.join("&") : before.replace(/[?#]$/, "");
}

/** 24 letters and digits, 120 bits of the browser's own randomness. */
export function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => (byte & 31).toString(32)).join("");
}

/**
 * Who this browser is, kept first-party: a random device id, and the token of the person when a link or a login told it.
 *
 * A login is surer than a link: where somebody has logged in, another person's mail changes nothing but its own click.
 * Whether two tokens are one person's only the server can tell; it never merges two people that it knows.
 */
export function whoIn(store: Store, newId: () => string) {
  let click = "";

  const now = (): Identity => {
    let device = store.kept("device");
    if (!device) store.keep("device", (device = newId()));
    return { device, token: store.kept("token"), click };
  };

  /** The running number that was given last. */
  const lastOrder = (): number => +store.kept("order") || 0;

  /** Whether somebody else has logged in here. */
  const isAnothers = (token: string): boolean => !!store.kept("login") && store.kept("token") !== token;

  const forget = (): void => {
    click = "";
    store.erase("device", "token", "order", "login");
  };

  return {
    now,
    lastOrder,
    forget,

    /** Takes a landing in; the identity under which its click is told. */
    landed(landing: Landing): Identity {
      const { token } = landing;
      if (token && isAnothers(token)) return { device: newId(), token, click: landing.click };
      if (token) store.keep("token", token);
      click = landing.click;
      return now();
    },

    /** Somebody logged in: the token that the site's own server made says who. */
    identify(token: string): void {
      // NOTE: what the person before did here is theirs; another person begins on a device of their own.
      if (isAnothers(token)) forget();
      store.keep("token", token);
      store.keep("login", "1");
    },

    /** The device's next running number; other tabs share it. */
    nextOrder(): number {
      const order = lastOrder() + 1;
      store.keep("order", `${order}`);
      return order;
    },
  };
}
