// What a JSON Schema says of a place: as much of it as the listener's schema uses.
import { ELEMENT } from "./place";

export interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly if?: Schema;
  readonly then?: Schema;
  readonly else?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly type?: string | readonly string[];
  readonly description?: string;
}

type Path = readonly string[];

/** One schema, asked by paths. */
export class Language {
  constructor(private readonly whole: Schema) {}

  /** The names that a mapping may have beside those that it has, each with what it says. */
  names(path: Path, beside: Path): Map<string, Schema> {
    const shapes = this.at(path).flatMap((each) => [...this.parts(each, beside)]);
    return new Map(shapes.flatMap((each) => Object.entries(each.properties ?? {})).filter(([name]) => !beside.includes(name)));
  }

  /** The values that are named. */
  values(path: Path): string[] {
    const shapes = this.at(path).flatMap((each) => [...this.parts(each)]);
    const named = shapes.flatMap((each) => [...(each.enum ?? []), ...("const" in each ? [each.const] : [])]);
    return [...new Set([...named, ...(shapes.some((each) => each.type === "boolean") ? [true, false] : [])].map(String))];
  }

  /** Whether a plain value may stand there. */
  isPlain(schema: Schema): boolean {
    return [...this.parts(schema)].some(({ type, enum: named }) => named || ![undefined, "object", "array"].includes(type?.toString()));
  }

  /** What a place is for, in words. */
  said(path: Path): string | undefined {
    return this.at(path).flatMap((each) => [...this.parts(each)]).find((each) => each.description)?.description;
  }

  private at(path: Path): Schema[] {
    return path.reduce((found, part) => found.flatMap((each) => [...this.parts(each)].flatMap((shape) => within(shape, part))), [this.whole]);
  }

  /** A schema and all that it is made of. Where names are given, they choose between `then` and `else`. */
  private *parts(schema: Schema, beside: Path = []): Generator<Schema> {
    yield schema;
    const chosen = schema.if?.required?.every((name) => beside.includes(name));
    const made = [
      schema.$ref && this.whole.$defs?.[schema.$ref.replace("#/$defs/", "")],
      (chosen || !beside.length) && schema.then,
      !chosen && schema.else,
      ...(schema.anyOf ?? []),
      ...(schema.oneOf ?? []),
      ...(schema.allOf ?? []),
    ];
    for (const each of made) if (each) yield* this.parts(each, beside);
  }
}

function within(schema: Schema, part: string): Schema[] {
  const others = schema.additionalProperties;
  const found = part === ELEMENT ? schema.items : schema.properties?.[part] ?? (typeof others === "object" ? others : undefined);
  return found ? [found] : [];
}
