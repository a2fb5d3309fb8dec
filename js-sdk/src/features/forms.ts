import { FIELDS, isMasked, scrubbed, selectorOf, up } from "../element";
import { isAction, type Feature, type Page, type Properties } from "../words";

/** Forms and the site's search: which field, never what stands in it. */
export const forms: Feature = {
  name: "forms",
  start(page) {
    const typedInto = new WeakMap<Element, boolean>();
    const known = new WeakMap<Node, true>();
    const filled = (_: Event, target: Element | undefined): void => {
      const field = fieldOf(target);
      // NOTE: Firefox fills a saved login in by itself, and says it was a person.
      if (!field || isEmpty(field) || navigator.userActivation?.hasBeenActive === false) return;
      typedInto.set(field, false);
      page.tell("form_filled", named(field));
    };
    const submitted = (_: Event, form: Element | undefined): void => onSubmit(form, page);
    page.on("change", filled);
    page.on("submit", submitted);
    page.on("input", (_, target) => {
      const field = fieldOf(target);
      if (field && field.matches("[contenteditable]")) typedInto.set(field, true);
    });
    page.on("focusin", (_, target) => {
      const field = fieldOf(target);
      const root = target && target.getRootNode();
      // NOTE: `change` and `submit` end at the border of a shadow root.
      if (root instanceof ShadowRoot && !known.get(root)) {
        known.set(root, true);
        page.on("change", filled, root);
        page.on("submit", submitted, root);
      }
      if (field) page.tell("field_focused", named(field));
    });
    page.on("focusout", (event: Event, target) => {
      const field = fieldOf(target);
      if (!field) return;
      if (typedInto.get(field)) filled(event, target);
      page.tell("field_unfocused", named(field));
    });
    page.viewed(() => searchedBy(page));
  },
};

function fieldOf(target: Element | undefined): HTMLElement | undefined {
  const field = target && up(target, FIELDS);
  return field && !isMasked(field) ? field : undefined;
}

function named(field: HTMLElement): Properties {
  const form = (field as HTMLInputElement).form ?? up<HTMLFormElement>(field, "form");
  return { form: form ? nameOf(form) : "", field: nameOf(field), selector: selectorOf(field) };
}

const nameOf = (element: Element): string => element.getAttribute("name") || element.id || selectorOf(element);

// NOTE: all that is looked at of a value is whether there is one.
function isEmpty(field: HTMLElement): boolean {
  const { type, checked, value } = field as HTMLElement & Partial<HTMLInputElement>;
  if (/^(checkbox|radio)$/.test(`${type}`)) return !checked;
  return value === undefined ? !field.textContent : !value;
}

function onSubmit(form: Element | undefined, page: Page): void {
  if (!(form instanceof HTMLFormElement) || isAction(form.dataset["segmaAction"])) return;
  const field = form.querySelector<HTMLInputElement>("[data-segma-search],input[type=search]") ?? form.querySelector<HTMLInputElement>(":scope:is([role=search],[data-segma-search]) input");
  if (field) searched(page, field.value);
  else page.tell("form_submitted", { form: nameOf(form), selector: selectorOf(form) });
}

/** The page that a search leads to has what was searched for in its address: the same search, not another one. */
function searchedBy(page: Page): void {
  const given = new URLSearchParams(location.search);
  const [query] = page.settings.searchParams.map((name) => given.get(name)).filter((text) => text);
  if (query) searched(page, query, page.remember("searched"));
  else page.remember("searched", "");
}

function searched(page: Page, text: string, before = ""): void {
  const query = scrubbed(text).toLowerCase();
  if (!query || query === before) return;
  page.remember("searched", query);
  page.tell("searched", { query });
}
