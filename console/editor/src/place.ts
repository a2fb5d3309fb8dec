// Where in a listener's YAML somebody writes. Read from the lines and not from the parser's tree: what is being written
// is not yet YAML, and an empty line belongs to the mapping in whose column it is.
import type { Text } from "@codemirror/state";

/** An element of a list, among the names of a path. */
export const ELEMENT = "[]";

export interface Place {
  /** From the document inwards: names of mappings, and {@link ELEMENT}. */
  readonly path: readonly string[];
  /** What may stand there; an element of a list may be a value, or begin with a name. */
  readonly wants: "name" | "value" | "either";
  /** The names that the mapping has already. */
  readonly beside: readonly string[];
  /** Where in the document that which is being written begins. */
  readonly from: number;
}

interface Token {
  readonly column: number;
  readonly name: string;
}

/** The dashes at a line's start, and its name. */
const LINE = /^( *)((?:-(?: +|$))*)(?:(["']?)([\w.-]+)\3 *:(?= |$))?/;

function tokensOf(line: string): { tokens: Token[]; end: number } {
  const [all, indent = "", dashes = "", , name] = LINE.exec(line) ?? [""];
  const tokens: Token[] = [...dashes.matchAll(/-/g)].map((dash) => ({ column: indent.length + dash.index, name: ELEMENT }));
  if (name !== undefined) tokens.push({ column: indent.length + dashes.length, name });
  return { tokens, end: all.length };
}

/** The names and dashes under which a column stands, of the lines above. A list may stand in the column of its name. */
function above(doc: Text, number: number, { column, name }: Token): string[] {
  const path: string[] = [];
  let [least, isElement] = [column, name === ELEMENT];
  for (let at = number - 1; at >= 1 && (least > 0 || isElement); at--) {
    for (const token of tokensOf(doc.line(at).text).tokens.reverse()) {
      if (token.column > least || (token.column === least && (!isElement || token.name === ELEMENT))) continue;
      path.unshift(token.name);
      [least, isElement] = [token.column, token.name === ELEMENT];
    }
  }
  return path;
}

/** The names in the same column, up and down to where the mapping ends. */
function namesBeside(doc: Text, number: number, column: number): string[] {
  const found: string[] = [];
  const look = (at: number, isAbove: boolean): boolean => {
    const { tokens } = tokensOf(doc.line(at).text);
    const ends = tokens[0] !== undefined && tokens[0].column < column;
    if (!ends || isAbove) found.push(...tokens.filter((each) => each.column === column && each.name !== ELEMENT).map((each) => each.name));
    return !ends;
  };
  const [first] = tokensOf(doc.line(number).text).tokens;
  if (!first || first.column === column) for (let at = number - 1; at >= 1 && look(at, true); at--);
  for (let at = number + 1; at <= doc.lines && look(at, false); at++);
  return found;
}

interface Open {
  readonly isList: boolean;
  readonly names: string[];
  name: string;
}

/** The place at the end of a text in braces and brackets; none where they are closed. */
function inFlow(text: string, from: number, after: string): Place | undefined {
  const open: Open[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const [letter, top] = [text.charAt(at), open.at(-1)];
    if (letter === '"' || letter === "'") {
      const end = text.indexOf(letter, at + 1);
      if (end < 0) break;
      at = end;
    } else if ("{[".includes(letter)) {
      open.push({ isList: letter === "[", names: [], name: "" });
      start = at + 1;
    } else if ("}]".includes(letter)) {
      open.pop();
    } else if (letter === "," && top) {
      top.name = "";
      start = at + 1;
    } else if (letter === ":" && top && !top.isList && !top.name && /^( |$)/.test(text.slice(at + 1))) {
      top.name = text.slice(start, at).trim().replace(/^(["'])(.*)\1$/, "$2");
      top.names.push(top.name);
      start = at + 1;
    }
  }
  const last = open.at(-1);
  if (!last) return undefined;
  const path = open.map((each) => (each.isList ? ELEMENT : each.name)).filter(Boolean);
  const wants = last.isList ? "either" : last.name ? "value" : "name";
  const later = [...(after.split(/[}\]]/)[0] ?? "").matchAll(/([\w.-]+): /g)].map((each) => each[1] ?? "");
  return { path, wants, beside: [...last.names, ...later], from: from + start + (/^ */.exec(text.slice(start))?.[0].length ?? 0) };
}

/** The place at a position; none in a comment. */
export function placeAt(doc: Text, position: number): Place | undefined {
  const line = doc.lineAt(position);
  const before = line.text.slice(0, position - line.from);
  if (/(^|\s)#/.test(before)) return undefined;
  const { tokens, end } = tokensOf(before);
  const rest = before.slice(end).trimStart();
  const from = position - rest.length;
  const isValue = tokens.length > 0 && tokens.at(-1)?.name !== ELEMENT;
  const outermost = tokens[0] ?? { column: before.length - rest.length, name: "" };
  const path = [...above(doc, line.number, outermost), ...tokens.map((each) => each.name)];
  if (/^[{[]/.test(rest)) {
    const inside = inFlow(rest, from, line.text.slice(position - line.from));
    return inside && { ...inside, path: [...path, ...inside.path] };
  }
  if (isValue) return { path, wants: "value", beside: [], from };
  const beside = namesBeside(doc, line.number, before.length - rest.length);
  return { path, wants: tokens.length ? "either" : "name", beside, from };
}
