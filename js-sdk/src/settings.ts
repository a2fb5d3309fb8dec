import type { Settings } from "./words";

const names = (text = ""): string[] => text.split(/[\s,]+/).filter((name) => name);
const SEARCH = "q s query search";
const LAYERS = "dataLayer adobeDataLayer";
const DEFAULTS: Omit<Settings, "site" | "collector"> = {
  tokenParam: "sgm",
  campaignParam: "utm_campaign",
  clickParam: "sgm_click",
  consent: "granted",
  hashRouting: false,
  params: [],
  searchParams: names(SEARCH),
  off: [],
  layers: names(LAYERS),
};

/** Reads the script tag; undefined where it names no site or has no usable address. */
export function settingsOf(script: Pick<HTMLScriptElement, "src" | "dataset">): Settings | undefined {
  const dataset = script.dataset;
  return settled({
    ...(dataset as Partial<Settings>),
    collector: dataset["collector"] ?? script.src,
    hashRouting: dataset["hashRouting"] !== undefined,
    params: names(dataset["params"]),
    searchParams: names(dataset["searchParams"] ?? SEARCH),
    off: names(dataset["off"]),
    layers: names(dataset["layers"] ?? LAYERS),
  });
}

/** All settings from those that were given; undefined where there is no site or no usable address. */
export function settled(given: Partial<Settings>): Settings | undefined {
  try {
    const collector = new URL(given.collector ?? "").origin;
    const chosen = Object.entries(DEFAULTS).map(([name, usual]) => [name, given[name as keyof Settings] ?? usual]);
    return given.site ? { ...(Object.fromEntries(chosen) as Settings), site: given.site, collector } : undefined;
  } catch {
    return undefined;
  }
}
