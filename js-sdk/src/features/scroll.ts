import { askedOf } from "../asked";
import { selectorOf } from "../element";
import type { Feature, Properties } from "../words";

const PERCENTS = [25, 50, 75, 90];
const LOOK_EVERY_MS = 100;
/** So close to the end is the end: fractions of pixels, and bars that hide themselves. */
const END_PX = 4;

/** How far a page was scrolled: a percentage, an element that the page or a listener names, the bottom. Once a view. */
export const scroll: Feature = {
  name: "scroll",
  start(page) {
    const asked = askedOf(page);
    let told: unknown[] = [];
    let waiting = 0;
    let scroller: Element | undefined;
    const once = (what: unknown, action: string, properties: Properties = {}): void => {
      if (told.includes(what)) return;
      told.push(what);
      page.tell(action, { path: location.pathname, ...properties });
    };
    const look = (): void => {
      waiting = 0;
      const box = scroller ?? document.scrollingElement ?? document.documentElement;
      const seen = box.scrollTop + box.clientHeight;
      const percent = (seen / box.scrollHeight) * 100;
      const wanted = asked("scrolled_past") ?? [];
      for (const each of [...PERCENTS, ...wanted.filter((one): one is number => typeof one === "number")].sort((a, b) => a - b)) {
        if (percent >= each) once(each, "scrolled_past", { percent: each });
      }
      const end = box.getBoundingClientRect().top * (scroller ? 1 : 0) + box.clientHeight;
      for (const [element, name] of points(wanted)) {
        if (element.getBoundingClientRect().top < end) once(element, "scrolled_past", { element: name });
      }
      if (seen >= box.scrollHeight - END_PX) once("", "bottom_reached");
    };
    page.on("scroll", (_, target) => {
      if (target && target !== document.scrollingElement) {
        // NOTE: applications scroll a box of their own; smaller ones are no page. Nothing is measured in here but by `look`.
        if (target !== scroller && !isPage(target)) return;
        scroller = target;
      } else scroller = undefined;
      waiting ||= +setTimeout(look, LOOK_EVERY_MS);
    });
    page.leaving(() => waiting && look());
    page.viewed(() => (told = []));
  },
};

const pages = new WeakMap<Element, boolean>();

function isPage(box: Element): boolean {
  const known = pages.get(box);
  if (known !== undefined) return known;
  const is = box.clientHeight >= innerHeight / 2 && box.clientWidth >= innerWidth / 2;
  pages.set(box, is);
  return is;
}

function points(asked: readonly unknown[]): [Element, string][] {
  const found = [...document.querySelectorAll<HTMLElement>("[data-segma-point]")].map((each): [Element, string] => [each, each.dataset["segmaPoint"] || selectorOf(each)]);
  for (const selector of asked) {
    try {
      const element = document.querySelector(selector as string);
      if (element) found.push([element, selector as string]);
    } catch {
      // NOTE: a listener may name a point of the page's own, which is no selector, and percentages are none.
    }
  }
  return found;
}
