import { isWhole } from "./text";

/** The wire's words: what `POST /v1/beacons` takes (`contracts/beacons.py`). */

/** What a listener may name of a captured action. */
export type Scalar = string | number | boolean;
/** What is said of an action, by name: what JSON can hold. */
export type Properties = Record<string, unknown>;

/** One event. `order`: the device's running number. */
export interface SentEvent {
  event_id: string;
  action: string;
  occurred_at_ms: number;
  order: number;
  properties: Properties;
}

/** Who a batch is from; a batch never mixes two. */
export interface Identity {
  device: string;
  token: string;
  click: string;
}

/** Events under one identity, waiting to be sent. */
export interface Batch extends Identity {
  events: SentEvent[];
}

/** What the page says, in its script tag or to `start`. */
export interface Settings {
  /** The site's public key: `key` in `segma.yaml`. */
  site: string;
  /** Address of the collector; its origin alone counts. */
  collector: string;
  /** URL parameter, in the query or the fragment, that carries a link's token. Default: `sgm`. */
  tokenParam: string;
  /** URL parameter that names the campaign. Default: `utm_campaign`. */
  campaignParam: string;
  /** URL parameter that carries the click's id from the collector's redirect. Default: `sgm_click`. */
  clickParam: string;
  /** `granted` (the default): everything; `required`: nothing before `consent(true)`; `anonymous`: nothing kept and nobody known before it. */
  consent: "granted" | "required" | "anonymous";
  /** Any change of the fragment is another page, not of a route (`#/…`) alone. Default: `false`. */
  hashRouting: boolean;
  /** URL parameters that may leave the page; a trailing `*` stands for any ending. Default: none. */
  params: readonly string[];
  /** URL parameters that hold what was searched for on the site. Default: `q`, `s`, `query`, `search`. */
  searchParams: readonly string[];
  /** Names of features that the page does not want, whatever the site's configuration says. Default: none. */
  off: readonly string[];
  /** Lists on `window` into which the page's shop says what happens. Default: `dataLayer`, `adobeDataLayer`. */
  layers: readonly string[];
}

/** Action, properties, and the event's id where it has one of its own. */
export type Told = [action: string, properties: Properties, id?: string | undefined];

/** Properties as the wire has them, and the event's id: the one that it has, or that they make. */
export type Form = (action: string, properties: Properties, id: string) => [properties: Properties, id: string];

/** What live listeners name of an action that is captured only where asked for; undefined where nobody asks. */
export type Asked = (action: string) => readonly Scalar[] | undefined;

/**
 * What a feature gets of the SDK. Nothing else: no storage, no globals of ours, and of the network the site's configuration.
 * Nothing that it is given to run stops the page: an error in it is a warning on the console.
 */
export interface Page {
  /** What the page says of itself. */
  readonly settings: Settings;
  /** Nothing of what was there before counts: somebody has only now agreed. */
  readonly late: boolean;
  /** Tells of an action that happened now; the work is done after the browser has painted, or before the page is left. */
  tell(...told: Told): void;
  /** The same where even the describing can wait. */
  later(describe: () => Told): void;
  /** Listens in the capture phase, passively; `target` is what it really happened on, also in an open shadow root. */
  on(type: string, handler: (event: never, target: Element | undefined) => void, where?: EventTarget, once?: boolean): void;
  /** The browser's clock, in milliseconds since 1970. */
  now(): number;
  /** Gives what is told the form that the wire has, whoever tells, and its id where it has one by what it says. */
  formed(task: Form): void;
  /** Runs at the start and after each page view. */
  viewed(task: () => void): void;
  /** Runs when the page is being left: the last moment to tell. */
  leaving(task: () => void): void;
  /** What live listeners ask for, where a feature has looked. */
  wanted?: Asked;
  /** Keeps a text for this site, first-party, where one is given; the text that is kept, empty where there is none. */
  remember(name: string, text?: string): string;
}

/** A part of the SDK that a site may leave out, or one of the site's own. */
export interface Feature {
  /** By which `off` names it. */
  readonly name: string;
  /** Begins to listen on a page; called once, when the page may be watched. */
  start(page: Page): void;
}

const ACTION = /^[a-z][a-z0-9_]{0,63}$/;

/** Whether the server would take this name. */
export const isAction = (name: unknown): name is string => isWhole(ACTION, name);
