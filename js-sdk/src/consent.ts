import type { Store } from "./store";
import type { Settings } from "./words";

/** What the browser says on the person's behalf. */
export interface Signals {
  globalPrivacyControl?: boolean;
  doNotTrack?: string | null;
}

/** Whether anything may be kept and sent. The browser's signals outrank the page; a person's answer is remembered. */
export class Consent {
  constructor(
    private readonly store: Store,
    private readonly signals: Signals,
    private readonly mode: Settings["consent"],
  ) {}

  /** Whether anything may leave the page. */
  get given(): boolean {
    if (this.signals.globalPrivacyControl || this.signals.doNotTrack === "1") return false;
    const answer = this.store.get("consent");
    return answer ? answer === "yes" : this.mode !== "required";
  }

  /** Whether it may be kept, and under whose name. */
  get known(): boolean {
    return this.given && (this.mode !== "anonymous" || this.store.get("consent") === "yes");
  }

  answer(yes: boolean): void {
    this.store.set("consent", yes ? "yes" : "no", true);
  }
}
