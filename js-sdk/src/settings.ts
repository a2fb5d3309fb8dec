import type { Settings } from "./words";

/** Reads the script tag; undefined where it names no site or has no usable address. */
export function settingsOf(script: Pick<HTMLScriptElement, "src" | "dataset">): Settings | undefined {
  const data = script.dataset;
  const site = data["site"];
  if (!site) return undefined;
  try {
    return {
      site,
      collector: new URL(data["collector"] ?? script.src).origin,
      tokenParam: data["tokenParam"] ?? "sgm",
      campaignParam: data["campaignParam"] ?? "utm_campaign",
      clickParam: data["clickParam"] ?? "sgm_click",
      consentRequired: data["consent"] === "required",
    };
  } catch {
    return undefined;
  }
}
