import { selectorOf } from "../element";
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

/** How far something was played: a quarter counts when the playing passes it; a jump passes nothing. */
class Watched {
  private at: number | undefined;
  private seconds = 0;
  private readonly told = new Set<number>();

  constructor(
    private readonly page: Page,
    private readonly action: string,
    private readonly properties: Properties,
  ) {}

  play(duration: number): void {
    this.tell(0, duration);
  }

  /** It plays on from here. */
  from(at: number): void {
    this.at = at;
  }

  /** It has come so far, at a pace of so many seconds in one. */
  time(at: number, duration: number, pace = 1): void {
    const before = this.at ?? at;
    this.at = at;
    const passed = at - before;
    if (passed <= 0 || passed > JUMP_S * Math.max(1, pace)) return;
    this.seconds += passed;
    for (const each of duration > 0 && Number.isFinite(duration) ? QUARTILES : []) {
      const mark = (duration * each) / 100;
      if (before < mark && at >= mark) this.tell(each, duration);
    }
  }

  end(duration: number): void {
    this.tell(100, duration);
    this.at = undefined;
  }

  private tell(progress: number, duration: number): void {
    if (this.told.has(progress)) return;
    this.told.add(progress);
    const length = duration > 0 && Number.isFinite(duration) ? { duration_s: Math.round(duration) } : {};
    this.page.tell(this.action, { ...this.properties, progress, watched_s: Math.round(this.seconds * 10) / 10, ...length });
  }
}

/** Films, sounds and PDF in the page: the browser's own players, YouTube, Vimeo; also those that come later. */
export const media: Feature = {
  name: "media",
  start(page) {
    const played = new WeakMap<Element, Watched>();
    const of = (event: Event): [Watched, HTMLMediaElement] | undefined => {
      const element = event.target;
      if (!(element instanceof HTMLMediaElement)) return undefined;
      let watched = played.get(element);
      if (!watched) {
        const action = element instanceof HTMLVideoElement ? "video_played" : "audio_played";
        watched = new Watched(page, action, { src: fileOf(element.currentSrc), selector: selectorOf(element) });
        played.set(element, watched);
      }
      return [watched, element];
    };
    page.on("playing", (event: Event) => {
      const [watched, element] = of(event) ?? [];
      // NOTE: WebKit tells the time for the first time when some of it has passed.
      if (element) watched?.from(element.currentTime);
      if (element) watched?.play(element.duration);
    });
    page.on("timeupdate", (event: Event) => {
      const [watched, element] = of(event) ?? [];
      if (element && !element.seeking) watched?.time(element.currentTime, element.duration, element.playbackRate);
    });
    page.on("seeked", (event: Event) => {
      const [watched, element] = of(event) ?? [];
      if (element) watched?.from(element.currentTime);
    });
    page.on("ended", (event: Event) => {
      const [watched, element] = of(event) ?? [];
      if (element) watched?.end(element.duration);
    });
    page.on("emptied", (event: Event) => event.target instanceof Element && played.delete(event.target));
    const frames = new Map<unknown, [Watched, Player]>();
    const met = new WeakSet<Element>();
    const greet = (frame: HTMLIFrameElement, player: Player): void => {
      const properties = { src: player.name, provider: player.provider, selector: selectorOf(frame) };
      if (!frames.has(frame.contentWindow)) frames.set(frame.contentWindow, [new Watched(page, "video_played", properties), player]);
      // NOTE: whoever hears it learns only that somebody listens; what is answered is believed of the player alone.
      for (const words of player.greeting) frame.contentWindow?.postMessage(jsonOf(words), "*");
    };
    const meet = (element: Element): void => {
      const src = element.getAttribute("src") ?? element.getAttribute("data") ?? "";
      const player = element.tagName === "IFRAME" ? playerOf(src) : undefined;
      if (player) greet(element as HTMLIFrameElement, player);
      else if (isPdf(element, src) && !met.has(element)) {
        met.add(element);
        watchPdf(page, element, fileOf(src));
      }
    };
    let waiting = 0;
    let added: Node[] = [];
    const look = (): void => {
      waiting = 0;
      for (const place of added.length < FEW ? added : [document]) {
        if (place instanceof Element) meet(place);
        (place as ParentNode).querySelectorAll(EMBEDDED).forEach(meet);
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
      if (added.length) waiting ||= window.setTimeout(look, LOOK_EVERY_MS);
    }).observe(document, { childList: true, subtree: true });
    const heard = (event: MessageEvent): void => {
      const [watched, player] = frames.get(event.source) ?? [];
      if (!watched || event.origin !== player?.origin) return;
      const said = (typeof event.data === "string" ? JSON.parse(event.data) : event.data) as Record<string, unknown>;
      player.hear(said, watched, (words) => (event.source as Window).postMessage(jsonOf(words), player.origin));
    };
    page.on("message", heard, window);
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
        timer = window.setTimeout(() => {
          eye.disconnect();
          page.tell("pdf_viewed", { file, extension: "pdf", selector: selectorOf(element), embedded: true });
        }, PDF_MS);
      }
    },
    { threshold: 0.25 },
  );
  eye.observe(element);
}

interface Player {
  provider: string;
  name: string;
  origin: string;
  greeting: object[];
  hear(said: Record<string, unknown>, watched: Watched, answer: (words: object) => void): void;
}

/** The two players that speak by messages. Nothing of theirs is loaded, and no frame's address is changed. */
function playerOf(src: string): Player | undefined {
  const [, origin = "", host = "", id = ""] = /^(https:\/\/(www\.youtube(?:-nocookie)?\.com|player\.vimeo\.com))\/(?:embed|video)\/([\w-]+)/.exec(src) ?? [];
  if (!origin) return undefined;
  if (host.endsWith("vimeo.com")) {
    const listen = ["play", "timeupdate", "ended"].map((value) => ({ method: "addEventListener", value }));
    return {
      provider: "vimeo",
      name: `${origin}/video/${id}`,
      origin,
      greeting: listen,
      hear({ event, data }, watched, answer) {
        const { seconds = 0, duration = 0 } = (data ?? {}) as Record<string, number>;
        if (event === "ready") listen.forEach(answer);
        if (event === "play") watched.play(duration);
        if (event === "timeupdate") watched.time(seconds, duration);
        if (event === "ended") watched.end(duration);
      },
    };
  }
  let duration = 0;
  return {
    provider: "youtube",
    name: `${origin}/embed/${id}`,
    origin,
    // NOTE: the player answers where its address carries `enablejsapi=1`; this greeting is what its own library says.
    greeting: [{ event: "listening", id: 1, channel: "widget" }],
    hear({ event, info }, watched, answer) {
      if (event === "onReady" || event === "initialDelivery") answer({ event: "listening", id: 1, channel: "widget" });
      const told = (typeof info === "object" && info ? info : { playerState: event === "onStateChange" ? info : undefined }) as Record<string, number | undefined>;
      duration = told["duration"] ?? duration;
      if (told["playerState"] === 1) watched.play(duration);
      if (told["currentTime"] !== undefined) watched.time(told["currentTime"], duration);
      if (told["playerState"] === 0) watched.end(duration);
    },
  };
}
