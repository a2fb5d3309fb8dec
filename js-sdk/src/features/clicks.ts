import { BUTTONS, declaredProperties, FIELDS, labelOf, selectorOf, targetOf, up } from "../element";
import { fileOf } from "../urls";
import { isAction, type Feature, type Page, type Properties } from "../words";

const FILES = /^[^?#]*\.(zip|rar|7z|gz|tgz|csv|xlsx?|docx?|pptx?|odt|ods|odp|rtf|txt|epub|ics|dmg|exe|msi|apk|mp3|wav|mp4|mov|pdf)(?:[?#]|$)/i;

/** What a link leads to, of the two kinds that are more than a click. */
export function kindOfLink(href: string, download: boolean): "pdf_viewed" | "file_downloaded" | undefined {
  const extension = FILES.exec(href)?.[1];
  if (!extension && !download) return undefined;
  return !download && /pdf/i.test(extension ?? "") ? "pdf_viewed" : "file_downloaded";
}

/** One click, one event: the action that the page declares, else the most specific gesture. */
export const clicks: Feature = { name: "clicks", start: watch };

function watch(page: Page): void {
  let last = -1;
  const clicked = (event: MouseEvent): void => {
    const target = targetOf(event);
    // NOTE: a click on a label clicks its field too, at the same instant: one gesture.
    if (!event.isTrusted || !target || event.timeStamp === last || isEnterInField(event, target)) return;
    last = event.timeStamp;
    const [action, properties] = gestureOf(target);
    page.tell(action, event.detail ? properties : { ...properties, keyboard: true }, orderId(action, properties));
  };
  page.on("click", clicked);
  page.on("auxclick", (event: MouseEvent) => event.button === 1 && clicked(event));
  page.on("submit", (event: Event) => {
    const form = targetOf(event);
    if (!(form instanceof HTMLFormElement) || !event.isTrusted) return;
    const action = form.dataset["segmaAction"];
    const properties = declaredProperties(form.dataset);
    if (isAction(action)) page.tell(action, properties, orderId(action, properties));
  });
}

function gestureOf(target: Element): [string, Properties] {
  const declared = up(target, "[data-segma-action]:not(form)");
  const action = declared?.dataset["segmaAction"];
  if (declared && isAction(action)) return [action, declaredProperties(declared.dataset)];
  const link = up<HTMLAnchorElement>(target, "a[href],area[href]");
  const button = up(target, BUTTONS);
  const kind = link ? kindOfLink(link.href, link.hasAttribute("download")) : undefined;
  if (link && kind) return [kind, ofFile(link)];
  if (button) return ["button_clicked", { selector: selectorOf(button), text: labelOf(button) }];
  return ["page_clicked", { selector: selectorOf(link ?? target), text: link ? labelOf(link) : "" }];
}

function ofFile(link: HTMLAnchorElement): Properties {
  const path = fileOf(link.href);
  const named = link.getAttribute("download") ?? "";
  const extension = /\.([a-z\d]{1,8})$/i.exec(named || path)?.[1]?.toLowerCase() ?? "";
  return { file: path.includes("/") ? path : named, extension, selector: selectorOf(link), text: labelOf(link) };
}

// NOTE: Enter in a field makes the browser click the form's button; nobody pressed that button.
function isEnterInField(event: MouseEvent, target: Element): boolean {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return event.detail === 0 && active !== target && !!active?.matches(FIELDS) && target.matches(BUTTONS);
}

/** A purchase under its order's number is one event, however often its page is loaded or whoever tells of it. */
export function orderId(action: string, properties: Properties): string | undefined {
  const { order_id: order, sku } = properties;
  if (action !== "product_bought" || !order) return undefined;
  return `o-${[order, sku ?? ""].join("-").replace(/[^\w.:-]/g, "_").slice(-60)}`;
}
