import { wordsIn } from "./text";
import type { Settings } from "./words";

/** Where a setting is a list, a tag names its parts in one text. */
const listed = (text: string): string[] => wordsIn(text.replace(/,/g, " "));
const DEFAULTS: Omit<Settings, "site" | "collector"> = {
  tokenParam: "sgm",
  campaignParam: "utm_campaign",
  clickParam: "sgm_click",
  consent: "granted",
  hashRouting: false,
  params: [],
  searchParams: listed("q s query search"),
  off: [],
  layers: listed("dataLayer adobeDataLayer"),
};

/** Reads the script tag; undefined where it names no site or has no usable address. */
export const settingsOf = (script: Pick<HTMLScriptElement, "src" | "dataset">): Settings | undefined =>
  settled({ collector: script.src, ...(script.dataset as Partial<Settings>) });

/** A setting as it is meant, by its default: a list or a switch stands as a text in a tag. */
const meant = (given: unknown, usual: unknown): unknown => {
  if (typeof given !== "string") return given ?? usual;
  return Array.isArray(usual) ? listed(given) : usual === false || given;
};

/** All settings from those that were given; undefined where there is no site or no usable address. */
export function settled(given: Partial<Settings>): Settings | undefined {
  try {
    const { site, collector } = given;
    const chosen = { site, collector: new URL(collector ?? "").origin } as unknown as Record<string, unknown>;
    for (const [name, usual] of Object.entries(DEFAULTS)) chosen[name] = meant(given[name as keyof Settings], usual);
    return site ? (chosen as unknown as Settings) : undefined;
  } catch {
    return undefined;
  }
}
