import { cut } from "./text";

const SECRET = /token|pass|secret|auth|session|sid$|key|code|sig|mail/i;

/** An address as it may leave the page: without fragment, and with none but the allowed parameters. */
export function urlOf(location: Pick<Location, "origin" | "pathname" | "search">, allowed: readonly string[]): string {
  const kept = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (!SECRET.test(name) && allowed.filter((each) => isNamed(name, each)).length) kept.append(name, cut(value, 200));
  }
  const query = kept.toString();
  return location.origin + location.pathname + (query ? `?${query}` : "");
}

function isNamed(name: string, allowed: string): boolean {
  const [start = "", more] = allowed.split(/\*$/);
  return more === undefined ? name === start : !name.indexOf(start);
}

/** The path of an address of a file or film; of one that is not on the web nothing but its kind. */
export function fileOf(href: string): string {
  try {
    const url = new URL(href, document.baseURI);
    return /^http/.test(url.protocol) ? (url.origin === location.origin ? "" : url.origin) + url.pathname : url.protocol;
  } catch {
    return "";
  }
}
