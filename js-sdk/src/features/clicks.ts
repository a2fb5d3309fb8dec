import { BUTTONS, declaredProperties, FIELDS, lookedAt, scrubbed, selectorFrom, up } from "../element";
import { forming } from "../products";
import { fileOf } from "../urls";
import { isAction, type Feature, type Page, type Properties } from "../words";

const FILES = /^[^?#]*\.(zip|rar|7z|t?gz|csv|(?:xls|doc|ppt)x?|od[tsp]|rtf|txt|epub|ics|dmg|exe|msi|apk|mp[34]|wav|mov|pdf)([?#\s]|$)/i;

/** What a link leads to, of the two kinds that are more than a click. */
export function kindOfLink(href: string, download: boolean): "pdf_viewed" | "file_downloaded" | undefined {
  const extension = FILES.exec(href)?.[1];
  if (!extension && !download) return undefined;
  return !download && /pdf/i.test(extension as string) ? "pdf_viewed" : "file_downloaded";
}

const DECLARED = "[data-segma-action]:not(form)";
const LINKS = "a[href],area[href]";
const MASKED = "[data-segma-mask]";
const AROUND = `${DECLARED},${LINKS},${MASKED}`;
const SILENT = `${FIELDS},${MASKED}`;

/** One click, one event: the action that the page declares, else the most specific gesture. */
export const clicks: Feature = { name: "clicks", start: watch };

function watch(page: Page): void {
  page.formed(forming());
  let labelled: Element | null | undefined;
  /** Where Enter was the last key. */
  let entered: Element | undefined;
  const forget = (): void => (labelled = undefined);
  const clicked = (event: PointerEvent, target: Element | undefined): void => {
    const byKey = !event.detail || event.pointerId === -1;
    // NOTE: Enter in a field makes the browser click the form's button; nobody pressed that button.
    const isByEnter = byKey && target !== entered && entered && entered.matches(FIELDS);
    if (!target || !event.isTrusted || target === labelled || (isByEnter && target.matches(BUTTONS))) return forget();
    // NOTE: a click on a label clicks its field too, in Firefox a while later: one gesture, until the next one begins.
    const label = up<HTMLLabelElement>(target, "label");
    labelled = label && label.control;
    const described = gestureOf(target);
    page.later(() => {
      const [action, properties] = described();
      return [action, byKey ? { ...properties, keyboard: true } : properties];
    });
  };
  page.on("pointerdown", forget);
  page.on("keydown", ({ key }: KeyboardEvent, target) => {
    entered = key === "Enter" ? target : undefined;
    forget();
  });
  page.on("click", clicked);
  page.on("auxclick", (event: PointerEvent, target) => event.button === 1 && clicked(event, target));
  page.on("submit", (event: Event, form) => {
    if (!(form instanceof HTMLFormElement) || !event.isTrusted) return;
    const action = form.dataset["segmaAction"];
    if (isAction(action)) page.tell(action, declaredProperties(form.dataset));
  });
}

/**
 * What a click on this is. What the page's own handlers may change or remove is read now, the rest is done later.
 *
 * PERF: a click waits for this, and each question to the browser costs it more than the answer. One is asked of all that
 * is around; most often there is nothing.
 */
function gestureOf(target: Element): () => [string, Properties] {
  const around = up(target, AROUND);
  const declared = around && up(target, DECLARED);
  const action = declared && declared.dataset["segmaAction"];
  if (declared && isAction(action)) {
    const properties = declaredProperties(declared.dataset);
    return () => [action, properties];
  }
  const link = around && up(target, LINKS);
  const button = up(target, BUTTONS);
  // NOTE: of a link in a drawing `href` is no text.
  const href = link && link.getAttribute("href");
  const kind = link && kindOfLink(href as string, link.hasAttribute("download"));
  const file = kind && ofFile(link, href as string);
  const named = kind ? link : (button ?? link);
  const silent = !named || (around && up(target, MASKED)) || named.querySelector(SILENT);
  const text = silent ? "" : (named.getAttribute("aria-label") ?? (named.textContent as string));
  const looks = lookedAt(named ?? target);
  return () => [kind ?? (button ? "button_clicked" : "page_clicked"), { ...file, selector: selectorFrom(looks), text: scrubbed(text) }];
}

function ofFile(link: Element, href: string): Properties {
  const path = fileOf(href);
  const named = link.getAttribute("download") ?? "";
  const [, extension = ""] = /\.([a-z\d]{1,8})$/.exec((named || path).toLowerCase()) ?? [];
  return { file: /\//.test(path) ? path : named, extension };
}
