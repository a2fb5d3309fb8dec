import { isWhole } from "./text";

/** The wire's words: what `POST /v1/beacons` takes (`contracts/beacons.py`). */

export type Scalar = string | number | boolean;
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

/** What the page says, in its script tag or to `start`. Times in milliseconds. */
export interface Settings {
  /** The site's public key. */
  site: string;
  /** Origin of the collector. */
  collector: string;
  tokenParam: string;
  campaignParam: string;
  clickParam: string;
  /** `granted`: everything; `required`: nothing before `consent(true)`; `anonymous`: nothing kept and nobody known before it. */
  consent: "granted" | "required" | "anonymous";
  /** A change of the fragment is another page. */
  hashRouting: boolean;
  /** URL parameters that may leave the page; a trailing `*` stands for any ending. */
  params: readonly string[];
  /** URL parameters that hold what was searched for on the site. */
  searchParams: readonly string[];
  /** Features that the page does not want, whatever the site's configuration says. */
  off: readonly string[];
  /** Lists of the page's, on `window`, into which its shop says what happens. */
  layers: readonly string[];
}

/** Action, properties, and the event's id where it has one of its own. */
export type Told = [action: string, properties: Properties, id?: string | undefined];

/** Properties as the wire has them, and the event's id: the one that it has, or that they make. */
export type Form = (action: string, properties: Properties, id: string) => [properties: Properties, id: string];

/** What live listeners name of an action that is captured only where asked for; undefined where nobody asks. */
export type Asked = (action: string) => readonly Scalar[] | undefined;

/** What a feature gets of the SDK. Nothing else: no storage, no globals of ours, and of the network the site's configuration. */
export interface Page {
  readonly settings: Settings;
  /** Nothing of what was there before counts: somebody has only now agreed. */
  readonly late: boolean;
  /** Tells of an action that happened now; the work is done after the browser has painted, or before the page is left. */
  tell(...told: Told): void;
  /** The same where even the describing can wait. */
  later(describe: () => Told): void;
  /** Listens in the capture phase, passively; an error of ours stays ours. `target`: what it really happened on. */
  on(type: string, handler: (event: never, target: Element | undefined) => void, where?: EventTarget, once?: boolean): void;
  now(): number;
  /** Gives what is told the form that the wire has, whoever tells, and its id where it has one by what it says. */
  formed(task: Form): void;
  /** Runs at the start and after each page view. */
  viewed(task: () => void): void;
  /** Runs when the page is being left: the last moment to tell. */
  leaving(task: () => void): void;
  /** What live listeners ask for, where a feature has looked (`askedOf`). */
  wanted?: Asked;
  /** Text kept for this site, first-party. */
  remember(name: string, text?: string): string;
}

/** A part of the SDK that a site may leave out. */
export interface Feature {
  readonly name: string;
  start(page: Page): void;
}

const ACTION = /^[a-z][a-z0-9_]{0,63}$/;

/** Whether the server would take this name. */
export const isAction = (name: unknown): name is string => isWhole(ACTION, name);
