import type { Store } from "./store";

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
    private readonly required: boolean,
  ) {}

  get given(): boolean {
    if (this.signals.globalPrivacyControl || this.signals.doNotTrack === "1") return false;
    const answer = this.store.get("consent");
    return answer ? answer === "yes" : !this.required;
  }

  answer(yes: boolean): void {
    this.store.set("consent", yes ? "yes" : "no");
  }
}
