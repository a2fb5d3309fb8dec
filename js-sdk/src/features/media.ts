import { selectorOf } from "../element";
import { table } from "../table";
import { jsonOf, wordsIn } from "../text";
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
const PDF = "application/pdf";

/** What a player says: `play`, `playing`, `timeupdate`, `seeked`, `ended`; times in seconds. */
type Watched = (what: string, duration?: number, at?: number, pace?: number) => void;

/** How far something was played: a quarter counts when the playing passes it; a jump passes nothing. */
function watching(page: Page, action: string, properties: Properties): Watched {
  let last: number | undefined;
  let seconds = 0;
  let length = 0;
  const told = table<true>();
  return ([what], duration = length, at = last, pace = 1) => {
    length = duration;
    const isLong = duration > 0 && duration < Infinity;
    const tell = (progress: number): void => {
      if (told[progress]) return;
      told[progress] = true;
      page.tell(action, { ...properties, progress, watched_s: Math.round(seconds * 10) / 10, duration_s: isLong ? Math.round(duration) : undefined });
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
    for (const type of wordsIn("playing timeupdate seeked ended emptied")) {
      page.on(type, ({ target: element }: Event) => {
        if (!(element instanceof HTMLMediaElement)) return;
        if (type === "emptied") played.set(element, undefined);
        else if (type !== "timeupdate" || !element.seeking) {
          const watched = played.get(element) ?? watching(page, `${element.tagName.toLowerCase()}_played`, { src: fileOf(element.currentSrc), selector: selectorOf(element) });
          played.set(element, watched);
          watched(type, element.duration, element.currentTime, element.playbackRate);
        }
      });
    }
    const frames = new WeakMap<object, Player>();
    const meet = (element: Element): void => {
      if (!element.matches(EMBEDDED)) return;
      const src = element.getAttribute("src") ?? element.getAttribute("data") ?? "";
      const frame = (element as HTMLIFrameElement).contentWindow;
      const [name, host = "", vimeo] = PLAYERS.exec(src) ?? [];
      if (frame && name) {
        const heard = frames.get(frame)?.[1] ?? watching(page, "video_played", { src: name, provider: vimeo ?? "youtube", selector: selectorOf(element) });
        frames.set(frame, [`https:${host}`, heard, vimeo]);
        greet(frame, vimeo);
      } else if ((/\.pdf($|[?#])/i.test(src) || element.getAttribute("type") === PDF) && !played.get(element)) {
        played.set(element, () => {});
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
    page.on("load", (_, target) => target && meet(target), document);
    // NOTE: of an embedded PDF no event tells when it comes.
    new MutationObserver((records) => {
      for (const { addedNodes } of records) for (const node of addedNodes) if (added.length < FEW && node instanceof Element) added.push(node);
      if (added.length) waiting ||= +setTimeout(look, LOOK_EVERY_MS);
    }).observe(document, { childList: true, subtree: true });
    page.on(
      "message",
      ({ source, origin, data }: MessageEvent) => {
        const [from, watched, vimeo] = (source && frames.get(source)) ?? [];
        if (!watched || origin !== from) return;
        const said = (typeof data === "string" ? JSON.parse(data) : data) as Said;
        if (/ready$|^initialDelivery$/i.test(`${said.event as string}`)) greet(source as Window, vimeo);
        hear(said, watched, vimeo);
      },
      window,
    );
  },
};

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

/** The origin of a player in a frame, what becomes of its words, and its provider where that is Vimeo. */
type Player = [origin: string, watched: Watched, vimeo: string | undefined];

/** The two players that speak by messages. Nothing of theirs is loaded, and no frame's address is changed. */
const PLAYERS = /^(?:https:)?(\/\/(?:www\.youtube(?:-nocookie)?|player\.(vimeo))\.com)\/(?:embed|video)\/[\w-]+/;
const VIMEO = wordsIn("play timeupdate ended");

// NOTE: whoever hears it learns only that somebody listens; what is answered is believed of the player alone. YouTube's
// answers where its address carries `enablejsapi=1`; this greeting is what its own library says.
function greet(frame: Window, vimeo: unknown): void {
  const greetings = vimeo ? VIMEO.map((value) => ({ method: "addEventListener", value })) : [{ event: "listening", id: 1, channel: "widget" }];
  for (const words of greetings) frame.postMessage(jsonOf(words), "*");
}

interface Said {
  event?: unknown;
  /** YouTube's. */
  info?: unknown;
  /** Vimeo's. */
  data?: object;
}

function hear({ event, info, data }: Said, watched: Watched, vimeo: unknown): void {
  // NOTE: a player tells all that somebody on the page has asked it for.
  if (vimeo && !VIMEO.includes(event as string)) return;
  const { playerState, duration, currentTime, seconds = currentTime } = { ...(info as object), ...data } as Record<string, number | undefined>;
  const state = event === "onStateChange" ? info : playerState;
  if (state === 1 || event === "play") watched("play", duration);
  if (seconds !== undefined) watched("timeupdate", duration, seconds);
  if (state === 0 || event === "ended") watched("ended", duration);
}
