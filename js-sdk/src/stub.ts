/**
 * The loader: a few hundred bytes inside the page's head. It takes the token out of the address bar before anything
 * else looks, keeps calls until the script is there, and loads it without holding up the page.
 */
import { globalOf } from "./globals";
import { landingOf } from "./identity";

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

/** Loads `src` with these `data-` attributes. */
export function load(src: string, attributes: Readonly<Record<string, string>>): void {
  if (globalOf("segma")) return;
  const q: NonNullable<NonNullable<Window["segma"]>["q"]> = [];
  const call =
    (name: "track" | "identify" | "reset" | "consent") =>
    (...args: unknown[]): void =>
      void (q[q.length] = [name, ...args]);
  const script = document.createElement("script");
  const { tokenParam = "sgm", clickParam = "sgm_click", campaignParam = "utm_campaign" } = attributes;
  const landing = landingOf(location.href, { tokenParam, clickParam, campaignParam });
  window.segma = { q, l: location.href, s: script, track: call("track"), identify: call("identify"), reset: call("reset"), consent: call("consent") };
  try {
    if (landing.cleaned !== undefined) history.replaceState(history.state, "", landing.cleaned);
  } catch {
    // NOTE: a sandboxed frame may not change its address.
  }
  Object.assign(script.dataset, attributes);
  const trustedTypes = globalOf<TrustedTypes>("trustedTypes");
  script.async = true;
  script.src = trustedTypes ? trustedTypes.createPolicy("segma", { createScriptURL: (url) => url }).createScriptURL(src) : src;
  document.head.appendChild(script);
}
