import type { Settings } from "./words";

const names = (text = ""): string[] => text.split(/[\s,]+/).filter(Boolean);

/** Reads the script tag; undefined where it names no site or has no usable address. */
export function settingsOf({ src, dataset }: Pick<HTMLScriptElement, "src" | "dataset">): Settings | undefined {
  const { site, collector, tokenParam, campaignParam, clickParam, consent, hashRouting, params, searchParams, off } = dataset;
  return settled({
    site,
    collector: collector ?? src,
    tokenParam,
    campaignParam,
    clickParam,
    consent: consent as Settings["consent"],
    hashRouting: hashRouting !== undefined,
    params: names(params),
    searchParams: searchParams && names(searchParams),
    off: names(off),
  } as Partial<Settings>);
}

/** All settings from those that were given; undefined where there is no site or no usable address. */
export function settled(given: Partial<Settings>): Settings | undefined {
  try {
    return given.site
      ? {
          site: given.site,
          collector: new URL(given.collector ?? "").origin,
          tokenParam: given.tokenParam ?? "sgm",
          campaignParam: given.campaignParam ?? "utm_campaign",
          clickParam: given.clickParam ?? "sgm_click",
          consent: given.consent ?? "granted",
          hashRouting: given.hashRouting ?? false,
          params: given.params ?? [],
          searchParams: given.searchParams ?? ["q", "s", "query", "search"],
          off: given.off ?? [],
        }
      : undefined;
  } catch {
    return undefined;
  }
}
