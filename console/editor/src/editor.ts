// Puts an editor in the place of the write page's textarea, which goes on holding the text: the form sends it, and
// whatever else the page does reads and writes it there. If this does not load, the textarea stays as it is.
import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { indentService } from "@codemirror/language";
import { type Diagnostic, forEachDiagnostic, lintGutter, lintKeymap, nextDiagnostic, setDiagnostics } from "@codemirror/lint";
import { Annotation, EditorState } from "@codemirror/state";
import { EditorView, type KeyBinding, hoverTooltip, keymap, lineNumbers } from "@codemirror/view";
import { Language, type Schema } from "./language";
import { look } from "./look";
import { adoptStyles } from "./sheets";
import { explain, suggest } from "./suggest";

/** Milliseconds without a key after which the page looks at what was written. */
const PAUSE_MS = 600;
/** A change that came from the page, and is no news to it. */
const came = Annotation.define<boolean>();

let language = new Language({});

/** A new line goes on in the column of the name above it; that of the library begins at the page's edge below a comment. */
const indent = indentService.of((context, position) => {
  if (context.simulatedBreak !== position) return undefined;
  const { text } = context.lineAt(position, -1);
  const column = /^ *(?:- +)*/.exec(text)?.[0].length ?? 0;
  return /^[^#]*: *(#.*)?$/.test(text) ? column + 2 : column;
});

/** The smallest change that makes one text of another, so that the cursor stays where it is. */
function change(old: string, now: string): { from: number; to: number; insert: string } {
  const least = Math.min(old.length, now.length);
  let [start, end] = [0, 0];
  while (start < least && old[start] === now[start]) start++;
  while (end < least - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end++;
  return { from: start, to: old.length - end, insert: now.slice(start, now.length - end) };
}

/** What the server said of the text, by line. */
function marks(state: EditorState): Diagnostic[] {
  return [...document.querySelectorAll<HTMLElement>("#marks > li")].map((each) => {
    const line = state.doc.line(Math.min(Math.max(Number(each.dataset["line"]), 1), state.doc.lines));
    const from = line.from + (line.text.length - line.text.trimStart().length);
    const severity = each.dataset["kind"] === "error" ? "error" : "warning";
    return { from: Math.min(from, line.to), to: line.to, severity, message: each.textContent ?? "" };
  });
}

/** The library goes to the next problem in silence: whoever cannot see the line hears what is said of it. */
const nextProblem: KeyBinding = {
  key: "F8",
  run: (view) => {
    if (!nextDiagnostic(view)) return false;
    const heard: string[] = [];
    forEachDiagnostic(view.state, ({ message }, from) => {
      if (from === view.state.selection.main.from) heard.push(message);
    });
    view.dispatch({ effects: EditorView.announce.of(heard.join(" ")) });
    return true;
  },
};

function words(): Record<string, string> {
  const found = [...document.querySelectorAll<HTMLElement>("#text-words > li")];
  return Object.fromEntries(found.map((each) => [each.dataset["word"] ?? "", each.textContent ?? ""]));
}

/** Tell the page that the text has changed, at a pause and when the editor is left. */
function teller(text: HTMLTextAreaElement): { changed(): void; left(): void } {
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const tell = (): void => {
    clearTimeout(waiting);
    waiting = undefined;
    text.dispatchEvent(new Event("change", { bubbles: true }));
  };
  return {
    changed: () => {
      clearTimeout(waiting);
      waiting = setTimeout(tell, PAUSE_MS);
    },
    left: () => {
      if (waiting !== undefined) tell();
    },
  };
}

function begin(text: HTMLTextAreaElement): void {
  adoptStyles();
  const news = teller(text);
  const view = new EditorView({
    doc: text.value,
    extensions: [
      history(),
      lineNumbers(),
      lintGutter(),
      yaml(),
      indent,
      look,
      EditorView.lineWrapping,
      EditorState.phrases.of(words()),
      EditorView.contentAttributes.of({ "aria-labelledby": "text-label", "aria-describedby": "text-keys wrong-text" }),
      autocompletion({ override: [(context) => suggest(language, context)], activateOnCompletion: ({ type }) => type === "property", icons: false }),
      hoverTooltip((where, position) => explain(language, where, position)),
      keymap.of([nextProblem, ...completionKeymap, ...lintKeymap, ...historyKeymap, ...defaultKeymap]),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged || update.transactions.some((each) => each.annotation(came))) return;
        text.value = update.state.doc.toString();
        news.changed();
      }),
      EditorView.domEventHandlers({ blur: () => news.left() }),
    ],
  });
  const follow = (): void => {
    const old = view.state.doc.toString();
    if (old !== text.value) view.dispatch({ changes: change(old, text.value), annotations: came.of(true) });
    view.dispatch(setDiagnostics(view.state, marks(view.state)));
  };
  follow();
  text.addEventListener("followed", follow);
  text.hidden = true;
  text.after(view.dom);
  document.getElementById("text-keys")?.removeAttribute("hidden");
  document.getElementById("text-label")?.addEventListener("click", () => view.focus());
}

const text = document.getElementById("text");
if (text instanceof HTMLTextAreaElement) {
  begin(text);
  const answer = await fetch("/static/listener.schema.json");
  if (answer.ok) language = new Language((await answer.json()) as Schema);
}
