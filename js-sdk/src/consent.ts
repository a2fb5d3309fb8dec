import type { Store } from "./store";
import type { Settings } from "./words";

/** What the browser says on the person's behalf. */
export interface Signals {
  globalPrivacyControl?: boolean;
  doNotTrack?: string | null;
}

/** Whether anything may be kept and sent. The browser's signals outrank the page; a person's answer is remembered. */
export function consentIn(store: Store, signals: Signals, mode: Settings["consent"]) {
  const answered = (): string => store.kept("consent");
  /** Whether anything may leave the page. */
  const given = (): boolean =>
    !signals.globalPrivacyControl && signals.doNotTrack !== "1" && (answered() ? answered() === "yes" : mode !== "required");
  return {
    given,
    /** Whether it may be kept, and under whose name. */
    known: (): boolean => given() && (mode !== "anonymous" || answered() === "yes"),
    answer: (yes: boolean): void => store.keep("consent", yes ? "yes" : "no", true),
  };
}
