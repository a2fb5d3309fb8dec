import { declaredProperties, labelOf, selectorOf } from "./element";
import { isAction, type Properties } from "./words";

type Track = (action: string, properties: Properties) => void;

const FILES = /\.(zip|rar|7z|gz|tgz|csv|xlsx?|docx?|pptx?|odt|ods|odp|rtf|txt|epub|ics|dmg|exe|msi|apk|mp3|wav|mp4|mov|pdf)$/i;
const FIELDS = "input:not([type=button],[type=submit],[type=reset],[type=image]),textarea,select";

/** What a link leads to, of the two kinds that are more than a click. */
export function kindOfLink(href: string, download: boolean): "pdf_viewed" | "file_downloaded" | undefined {
  let path: string;
  try {
    path = new URL(href).pathname;
  } catch {
    return undefined;
  }
  if (download) return "file_downloaded";
  const extension = FILES.exec(path)?.[1]?.toLowerCase();
  if (!extension) return undefined;
  return extension === "pdf" ? "pdf_viewed" : "file_downloaded";
}

/** One click, one event: the action that the page declares, else the most specific gesture. */
export function watchGestures(track: Track): void {
  const options = { capture: true, passive: true };
  document.addEventListener("click", (event) => onClick(event, track), options);
  document.addEventListener("auxclick", (event) => event.button === 1 && onClick(event, track), options);
  document.addEventListener("submit", (event) => onSubmit(event, track), options);
}

function onClick(event: MouseEvent, track: Track): void {
  const target = event.composedPath()[0];
  if (!event.isTrusted || !(target instanceof Element) || isEnterInField(event)) return;
  const declared = target.closest<HTMLElement>("[data-segma-action]:not(form)");
  if (declared && isAction(declared.dataset["segmaAction"])) {
    track(declared.dataset["segmaAction"], declaredProperties(declared.dataset));
    return;
  }
  const link = target.closest<HTMLAnchorElement>("a[href]");
  const button = target.closest("button,[role=button],input[type=button],input[type=submit],input[type=reset],input[type=image]");
  const kind = link ? kindOfLink(link.href, link.hasAttribute("download")) : undefined;
  if (link && kind) track(kind, ofFile(link));
  else if (button) track("button_clicked", { selector: selectorOf(button), text: labelOf(button) });
  else track("page_clicked", { selector: selectorOf(link ?? target), text: link ? labelOf(link) : "" });
}

function ofFile(link: HTMLAnchorElement): Properties {
  const file = new URL(link.href).pathname;
  const extension = /\.([A-Za-z0-9]{1,8})$/.exec(file)?.[1]?.toLowerCase() ?? "";
  return { file, extension, selector: selectorOf(link), text: labelOf(link) };
}

// NOTE: Enter in a field makes the browser click the form's button; nobody pressed that button.
function isEnterInField(event: MouseEvent): boolean {
  return event.detail === 0 && !!document.activeElement?.matches(FIELDS) && document.activeElement !== event.target;
}

function onSubmit(event: Event, track: Track): void {
  const form = event.target;
  if (!event.isTrusted || !(form instanceof HTMLFormElement)) return;
  const action = form.dataset["segmaAction"];
  if (isAction(action)) track(action, declaredProperties(form.dataset));
}
