// Text that JSON.parse has accepted, as a tree that keeps what JSON.parse loses: the digits of numbers and the order of repeated keys.

export type JsonNode =
  | { readonly kind: "null" }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "array"; readonly items: readonly JsonNode[] }
  | { readonly kind: "object"; readonly entries: readonly (readonly [string, JsonNode])[] };

const maxLevels = 1000;
const token = /[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*"|[-+.\deE]+|true|false|null|[[\]{},:])/y;

class NodeParser {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  #next(): string {
    token.lastIndex = this.#position;
    const match = token.exec(this.#text);
    if (match === null) throw new Error(`no token at ${this.#position} of valid JSON`);
    this.#position = token.lastIndex;
    return match[1] as string;
  }

  /** Undefined where the nesting is too deep. */
  node(level: number, first: string = this.#next()): JsonNode | undefined {
    if (level > maxLevels) return undefined;
    switch (first) {
      case "null":
        return { kind: "null" };
      case "true":
      case "false":
        return { kind: "boolean", value: first === "true" };
      case "[":
        return this.#array(level);
      case "{":
        return this.#object(level);
      default:
        return first.startsWith('"') ? { kind: "string", value: JSON.parse(first) as string } : { kind: "number", text: first };
    }
  }

  #array(level: number): JsonNode | undefined {
    const items: JsonNode[] = [];
    for (let next = this.#next(); next !== "]"; ) {
      const item = this.node(level + 1, next);
      if (item === undefined) return undefined;
      items.push(item);
      next = this.#next();
      if (next === ",") next = this.#next();
    }
    return { kind: "array", items };
  }

  #object(level: number): JsonNode | undefined {
    const entries: [string, JsonNode][] = [];
    for (let next = this.#next(); next !== "}"; ) {
      const key = JSON.parse(next) as string;
      this.#next();
      const value = this.node(level + 1);
      if (value === undefined) return undefined;
      entries.push([key, value]);
      next = this.#next();
      if (next === ",") next = this.#next();
    }
    return { kind: "object", entries };
  }
}

/** The tree of valid JSON text; undefined where it is nested deeper than 1,000 levels. */
export function parseNodes(text: string): JsonNode | undefined {
  return new NodeParser(text).node(0);
}
