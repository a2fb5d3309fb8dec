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

/** What the script tag says. Times in milliseconds. */
export interface Settings {
  site: string;
  collector: string;
  tokenParam: string;
  campaignParam: string;
  clickParam: string;
  consentRequired: boolean;
}

const ACTION = /^[a-z][a-z0-9_]{0,63}$/;

/** Whether the server would take this name. */
export const isAction = (name: unknown): name is string => typeof name === "string" && ACTION.test(name);
