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
const CLICK = /^[A-Za-z0-9._:-]{1,62}$/;

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
    click: CLICK.test(click) ? click : "",
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

/** 22 letters and digits, from the browser's own randomness. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(22));
  return Array.from(bytes, (byte) => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[byte & 63]).join("");
}

/**
 * Who this browser is, kept first-party: a random device id, and the token of the person when a link or a login told it.
 *
 * A login is surer than a link: where somebody has logged in, another person's mail changes nothing but its own click.
 * Whether two tokens are one person's only the server can tell; it never merges two people that it knows.
 */
export class Who {
  private click = "";

  constructor(
    private readonly store: Store,
    private readonly newId: () => string,
  ) {}

  /** Takes a landing in; the identity under which its click is told. */
  landed(landing: Landing): Identity {
    const { token, click } = landing;
    if (token && this.store.get("login") && token !== this.store.get("token")) return { device: this.newId(), token, click };
    if (token) this.store.set("token", token);
    this.click = click;
    return this.now();
  }

  /** Somebody logged in: the token that the site's own server made says who. */
  identify(token: string): void {
    const before = this.store.get("token");
    // NOTE: what the person before did here is theirs; another person begins on a device of their own.
    if (this.store.get("login") && before !== token) this.forget();
    this.store.set("token", token);
    this.store.set("login", "1");
  }

  now(): Identity {
    let device = this.store.get("device");
    if (!device) {
      device = this.newId();
      this.store.set("device", device);
    }
    return { device, token: this.store.get("token"), click: this.click };
  }

  /** The device's next running number; other tabs share it. */
  nextOrder(): number {
    const order = this.lastOrder() + 1;
    this.store.set("order", String(order));
    return order;
  }

  /** The running number that was given last. */
  lastOrder(): number {
    return Number(this.store.get("order")) || 0;
  }

  forget(): void {
    this.click = "";
    for (const name of ["device", "token", "order", "login"]) this.store.remove(name);
  }
}
