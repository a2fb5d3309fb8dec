import { selectorOf } from "../element";
import { table } from "../table";
import { jsonOf } from "../text";
import { fileOf } from "../urls";
import type { Feature, Page, Properties } from "../words";

const QUARTILES = [25, 50, 75];
/** Between two looks at the time; more is a jump. */
const JUMP_S = 2;
const PDF_MS = 1_000;
const LOOK_EVERY_MS = 300;
/** So many new elements are looked through one by one; after more the whole page is, once. */
const FEW = 50;
const EMBEDDED = "iframe,embed,object";

/** What a player says: `play`, `playing`, `timeupdate`, `seeked`, `ended`; times in seconds. */
type Watched = (what: string, duration?: number, at?: number, pace?: number) => void;

/** How far something was played: a quarter counts when the playing passes it; a jump passes nothing. */
function watching(page: Page, action: string, properties: Properties): Watched {
  let last: number | undefined;
  let seconds = 0;
  const told = table<true>();
  return ([what], duration = 0, at = last, pace = 1) => {
    const isLong = duration > 0 && duration < Infinity;
    const tell = (progress: number): void => {
      if (told[progress]) return;
      told[progress] = true;
      const length = isLong ? { duration_s: Math.round(duration) } : {};
      page.tell(action, { ...properties, progress, watched_s: Math.round(seconds * 10) / 10, ...length });
    };
    if (what === "p") tell(0);
    if (what === "e") tell(100);
    if (what === "t" && at !== undefined) {
      const before = last ?? at;
      const passed = at - before;
      if (passed > 0 && passed <= JUMP_S * (pace > 1 ? pace : 1)) {
        seconds += passed;
        for (const each of isLong ? QUARTILES : []) if (before < (duration * each) / 100 && at >= (duration * each) / 100) tell(each);
      }
    }
    last = what === "e" ? undefined : at;
  };
}

/** Films, sounds and PDF in the page: the browser's own players, YouTube, Vimeo; also those that come later. */
export const media: Feature = {
  name: "media",
  start(page) {
    const played = new WeakMap<Element, Watched | undefined>();
    // NOTE: WebKit tells the time for the first time when some of it has passed: it is read when the playing begins.
    for (const type of ["playing", "timeupdate", "seeked", "ended", "emptied"]) {
      page.on(type, ({ target: element }: Event) => {
        if (!(element instanceof HTMLMediaElement)) return;
        if (type === "emptied") played.set(element, undefined);
        else if (type !== "timeupdate" || !element.seeking) {
          const action = /^v/i.test(element.tagName) ? "video_played" : "audio_played";
          const watched = played.get(element) ?? watching(page, action, { src: fileOf(element.currentSrc), selector: selectorOf(element) });
          played.set(element, watched);
          watched(type, element.duration, element.currentTime, element.playbackRate);
        }
      });
    }
    const frames = new WeakMap<object, [Watched, Player]>();
    const met = new WeakMap<Element, true>();
    // NOTE: whoever hears it learns only that somebody listens; what is answered is believed of the player alone.
    const greet = (frame: Window, { greeting }: Player): void => {
      for (const words of greeting) frame.postMessage(jsonOf(words), "*");
    };
    const meet = (element: Element): void => {
      const src = element.getAttribute("src") ?? element.getAttribute("data") ?? "";
      const frame = (element as HTMLIFrameElement).contentWindow;
      const player = frame && playerOf(src);
      if (player) {
        const { name, provider } = player;
        if (!frames.get(frame)) frames.set(frame, [watching(page, "video_played", { src: name, provider, selector: selectorOf(element) }), player]);
        greet(frame, player);
      } else if (isPdf(element, src) && !met.get(element)) {
        met.set(element, true);
        watchPdf(page, element, fileOf(src));
      }
    };
    let waiting = 0;
    let added: Node[] = [];
    const look = (): void => {
      waiting = 0;
      for (const place of added.length < FEW ? added : [document]) {
        if (place instanceof Element) meet(place);
        for (const element of (place as ParentNode).querySelectorAll(EMBEDDED)) meet(element);
      }
      added = [];
    };
    page.viewed(() => ((added = [document]), look()));
    page.on("load", (event: Event) => event.target instanceof Element && meet(event.target));
    // NOTE: of an embedded PDF no event tells when it comes.
    new MutationObserver((records) => {
      for (const { addedNodes } of records) {
        for (const node of addedNodes) if (added.length < FEW && node instanceof Element) added.push(node);
        if (added.length >= FEW) break;
      }
      if (added.length) waiting ||= +setTimeout(look, LOOK_EVERY_MS);
    }).observe(document, { childList: true, subtree: true });
    page.on(
      "message",
      ({ source, origin, data }: MessageEvent) => {
        const [watched, player] = (source && frames.get(source)) ?? [];
        if (!watched || !player || origin !== player.origin) return;
        const said = (typeof data === "string" ? JSON.parse(data) : data) as Said;
        if (/ready$|^initialDelivery$/i.test(`${said["event"] as string}`)) greet(source as Window, player);
        player.hear(said, watched);
      },
      window,
    );
  },
};

function isPdf(element: Element, src: string): boolean {
  return /^(iframe|embed|object)$/i.test(element.tagName) && (/\.pdf($|[?#])/i.test(src) || element.getAttribute("type") === "application/pdf");
}

function watchPdf(page: Page, element: Element, file: string): void {
  let timer = 0;
  const eye = new IntersectionObserver(
    ([entry]) => {
      clearTimeout(timer);
      if (entry?.isIntersecting) {
        timer = +setTimeout(() => {
          eye.disconnect();
          page.tell("pdf_viewed", { file, extension: "pdf", selector: selectorOf(element), embedded: true });
        }, PDF_MS);
      }
    },
    { threshold: 0.25 },
  );
  eye.observe(element);
}

type Said = Record<string, unknown>;

interface Player {
  provider: string;
  name: string;
  origin: string;
  greeting: object[];
  hear(said: Said, watched: Watched): void;
}

/** The two players that speak by messages. Nothing of theirs is loaded, and no frame's address is changed. */
function playerOf(src: string): Player | undefined {
  const [name, host = "", vimeo] = /^(?:https:)?(\/\/(?:www\.youtube(?:-nocookie)?|player\.(vimeo))\.com)\/(?:embed|video)\/[\w-]+/.exec(src) ?? [];
  if (!name) return undefined;
  const origin = `https:${host}`;
  if (vimeo) {
    return {
      provider: vimeo,
      name,
      origin,
      greeting: ["play", "timeupdate", "ended"].map((value) => ({ method: "addEventListener", value })),
      hear({ event, data }, watched) {
        const { seconds, duration } = (data ?? {}) as Record<string, number>;
        if (/^(play|timeupdate|ended)$/.test(`${event as string}`)) watched(event as string, duration, seconds);
      },
    };
  }
  let duration: number | undefined;
  return {
    provider: "youtube",
    name,
    origin,
    // NOTE: the player answers where its address carries `enablejsapi=1`; this greeting is what its own library says.
    greeting: [{ event: "listening", id: 1, channel: "widget" }],
    hear({ event, info }, watched) {
      const told = (typeof info === "object" && info ? info : { playerState: event === "onStateChange" ? info : undefined }) as Record<string, number | undefined>;
      const { playerState: state, currentTime: at } = told;
      duration = told["duration"] ?? duration;
      if (state === 1) watched("play", duration);
      if (at !== undefined) watched("timeupdate", duration, at);
      if (state === 0) watched("ended", duration);
    },
  };
}
