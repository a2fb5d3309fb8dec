import type { Store } from "./store";
import { cut, isWhole } from "./text";
import type { Identity, Settings } from "./words";

/** What a landing URL tells, and the URL without what must not stay in the address bar. */
export interface Landing {
  token: string;
  /** What stood in a token's place and is none: a merge field that nobody filled in. Undefined where nothing did. */
  broken: string | undefined;
  click: string;
  campaign: string;
  /** The whole address to show instead; undefined where nothing has to go. */
  cleaned: string | undefined;
}

/** A key's id, a dot, and 17 sealed bytes or more. What hangs on behind it came from the mail's text. */
const TOKEN = /^[a-z\d]{1,16}\.[\w-]{23,2000}/i;
/** What a mail's text may have put before a token (what merge fields begin with is none of it), and what shows nothing in it. */
const AHEAD = /^[^a-z\d{%$|]+|\p{Cf}/giu;
/** What the wire takes as an event's id. */
export const ID = /^[\w.:-]{1,64}$/;

type Names = Pick<Settings, "tokenParam" | "clickParam" | "campaignParam">;

/** Whether a text has the form of a token; only such a one takes the place of another. */
export const isToken = (text: unknown): text is string => isWhole(TOKEN, text);

/** Where a part of an address begins; a fragment's mark may have been taken for text. */
const PARTS = /(?=[?#&]|%23\w+=)/;
const PART = /^([?#&]|%..)?(?:amp;|0*38;)*([^=]*)=?(.*)$/is;

/**
 * Reads a landing URL, its query and its fragment (`#sgm=…`, `#/route?sgm=…`). Only the token and the click id are taken
 * out: the campaign is everybody's. Everything else keeps its spelling.
 *
 * Links come damaged: with a bracket before the token or the full stop of a sentence behind it, with `&amp;` for `&`, put
 * behind an address that has a query or a fragment already. Such a one is read as it was meant.
 */
export function landingOf(href: string, { tokenParam, clickParam, campaignParam }: Names): Landing {
  let [token, click, campaign, left] = ["", "", "", ""];
  let broken: string | undefined;
  let isLeft = true;
  /** The mark of a part that has gone: the next one's, of the same query or fragment. */
  let freed = "";
  for (const part of href.split(PARTS)) {
    const [, mark = "", name, raw] = PART.exec(part) as string[];
    // NOTE: the others keep their spelling; URLSearchParams would write them anew.
    const [[, value = ""] = []] = new URLSearchParams(`=${raw}`);
    if (name === campaignParam) campaign ||= cut(value, 200);
    if (name === clickParam) click ||= clickIn(value);
    if (name === tokenParam) {
      const [found = ""] = TOKEN.exec(value.replace(AHEAD, "")) ?? [];
      token ||= found;
      if (!found) broken ??= cut(value, 500);
    }
    if (name === tokenParam || name === clickParam) {
      isLeft = false;
      freed ||= mark;
    } else {
      left += !freed || freed[1] || mark === "#" ? part : freed + part.slice(mark.length);
      freed = "";
    }
  }
  return { token, broken: token ? undefined : broken, click, campaign, cleaned: isLeft ? undefined : left };
}

const clickIn = (value: string): string => {
  const click = value.replace(/[^\w-]+$/, "");
  return click && ID.test(`c-${click}`) ? click : "";
};

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
