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

/** Reads a landing URL. Only the token and the click id are taken out: the campaign is everybody's. */
export function landingOf(href: string, settings: Settings): Landing {
  const url = new URL(href);
  const read = (name: string): string => url.searchParams.get(name) ?? "";
  const token = read(settings.tokenParam);
  const click = read(settings.clickParam);
  const campaign = read(settings.campaignParam).slice(0, 200);
  return {
    token: token.length <= MAX_TOKEN ? token : "",
    click: CLICK.test(click) ? click : "",
    campaign,
    cleaned: token || click ? url.pathname + without(url.search, settings) + url.hash : undefined,
  };
}

// NOTE: the other parameters keep their spelling; URLSearchParams would write them anew.
function without(search: string, settings: Settings): string {
  const gone = [settings.tokenParam, settings.clickParam];
  const nameOf = (part: string): string => {
    const name = part.split("=", 1)[0] ?? "";
    try {
      return decodeURIComponent(name.replace(/\+/g, " "));
    } catch {
      return name;
    }
  };
  const kept = search.replace(/^\?/, "").split("&").filter((part) => part && !gone.includes(nameOf(part)));
  return kept.length ? `?${kept.join("&")}` : "";
}

/** 22 letters and digits, from the browser's own randomness. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(22));
  return Array.from(bytes, (byte) => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[byte & 63]).join("");
}

/** Who this browser is, kept first-party: a random device id, and the token of the person when a link told it. */
export class Who {
  private click = "";

  constructor(
    private readonly store: Store,
    private readonly newId: () => string,
  ) {}

  landed(landing: Landing): void {
    if (landing.token) this.store.set("token", landing.token);
    this.click = landing.click;
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
    const order = (Number(this.store.get("order")) || 0) + 1;
    this.store.set("order", String(order));
    return order;
  }

  forget(): void {
    this.click = "";
    for (const name of ["device", "token", "order"]) this.store.remove(name);
  }
}
