// Protobuf messages as this decoder needs them, made from .proto text by protobufjs, which is loaded only here.
import type protobufjs from "protobufjs";
import { MillraceError, messageOf } from "../../base/errors.ts";

export type ProtoScalar =
  | "double"
  | "float"
  | "int32"
  | "uint32"
  | "sint32"
  | "fixed32"
  | "sfixed32"
  | "int64"
  | "uint64"
  | "sint64"
  | "fixed64"
  | "sfixed64"
  | "bool"
  | "string"
  | "bytes";

export interface ProtoEnum {
  readonly kind: "enum";
  readonly name: string;
  readonly nameOf: ReadonlyMap<number, string>;
  readonly numberOf: ReadonlyMap<string, number>;
  /** The value of a field that is not there. */
  readonly first: string;
}

/** `fields` are filled in after the message is made, because they may refer to it. */
export interface ProtoMessage {
  readonly kind: "message";
  /** The full name, without a leading dot. */
  readonly name: string;
  readonly fields: ProtoField[];
}

export type ProtoType =
  | { readonly kind: ProtoScalar }
  | ProtoEnum
  | ProtoMessage
  | { readonly kind: "map"; readonly key: { readonly kind: ProtoScalar }; readonly value: ProtoType };

export interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly type: ProtoType;
  readonly repeated: boolean;
  /** Repeated numbers are written as one run of bytes; either way is read. */
  readonly packed: boolean;
  /** True where a field that is not there is told apart from one with its type's zero. */
  readonly presence: boolean;
  /** proto2: what a field that is not there reads as. */
  readonly default: unknown;
}

/** The messages of one .proto file and what it imports. */
export class ProtoFile {
  readonly #root: protobufjs.Root;
  readonly #protobuf: typeof protobufjs;
  /** Full names of the file's own messages, in the file's order; nested ones are under theirs. */
  readonly #own: readonly OwnMessage[];
  readonly #messages = new Map<string, ProtoMessage>();
  readonly #enums = new Map<string, ProtoEnum>();

  constructor(protobuf: typeof protobufjs, root: protobufjs.Root, own: readonly OwnMessage[]) {
    this.#protobuf = protobuf;
    this.#root = root;
    this.#own = own;
  }

  /** The message of a name, or the file's first. Throws SCHEMA_INVALID. */
  message(name?: string): ProtoMessage {
    const wanted = name ?? this.#own[0]?.name;
    if (wanted === undefined)
      throw new MillraceError("SCHEMA_INVALID", "Protobuf schema", "the file has no message", "give a file with one");
    return this.#messageOf(this.#lookup(wanted));
  }

  /** The message at a path of places within the file, as Confluent's wire format names it; undefined where there is none. */
  messageAt(path: readonly number[]): ProtoMessage | undefined {
    let level = this.#own;
    let found: OwnMessage | undefined;
    for (const place of path) {
      found = level[place];
      if (found === undefined) return undefined;
      level = found.nested;
    }
    return found === undefined ? undefined : this.#messageOf(this.#lookup(found.name));
  }

  /** The path of places of a message within the file. */
  pathOf(message: ProtoMessage): readonly number[] {
    const search = (level: readonly OwnMessage[]): readonly number[] | undefined => {
      for (const [place, own] of level.entries()) {
        if (own.name === message.name) return [place];
        const inner = search(own.nested);
        if (inner !== undefined) return [place, ...inner];
      }
      return undefined;
    };
    const path = search(this.#own);
    if (path === undefined)
      throw new MillraceError(
        "SCHEMA_INVALID",
        "Protobuf schema",
        `message ${message.name} is not in the file itself`,
        "name one of its own messages",
      );
    return path;
  }

  #lookup(name: string): protobufjs.Type {
    try {
      return this.#root.lookupType(name);
    } catch (cause) {
      throw new MillraceError("SCHEMA_INVALID", "Protobuf schema", `it has no message "${name}"`, "name one of its messages", { cause });
    }
  }

  #messageOf(type: protobufjs.Type): ProtoMessage {
    const name = type.fullName.replace(/^\./, "");
    let message = this.#messages.get(name);
    if (message === undefined) {
      message = { kind: "message", name, fields: [] };
      this.#messages.set(name, message);
      for (const field of type.fieldsArray) message.fields.push(this.#fieldOf(field.resolve()));
    }
    return message;
  }

  #fieldOf(field: protobufjs.Field): ProtoField {
    const type = field instanceof this.#protobuf.MapField ? this.#mapOf(field) : this.#typeOf(field);
    // proto2 and `optional` of proto3 know absence, as do messages and members of a oneof.
    const presence = !field.repeated && type.kind !== "map" && (type.kind === "message" || field.partOf !== null || field.hasPresence);
    const given: unknown = field.options?.["default"] === undefined ? undefined : field.defaultValue;
    return { name: field.name, number: field.id, type, repeated: field.repeated, packed: field.packed, presence, default: given };
  }

  #mapOf(field: protobufjs.MapField): ProtoType {
    return { kind: "map", key: { kind: field.keyType as ProtoScalar }, value: this.#typeOf(field) };
  }

  #typeOf(field: protobufjs.FieldBase): ProtoType {
    const { resolvedType } = field;
    if (resolvedType === null) return { kind: field.type as ProtoScalar };
    return resolvedType instanceof this.#protobuf.Enum ? this.#enumOf(resolvedType) : this.#messageOf(resolvedType as protobufjs.Type);
  }

  #enumOf(type: protobufjs.Enum): ProtoEnum {
    let made = this.#enums.get(type.fullName);
    if (made === undefined) {
      const numbers = Object.entries(type.values);
      // Of several names of one number the first counts.
      const nameOf = new Map([...numbers].reverse().map(([name, number]) => [number, name]));
      made = { kind: "enum", name: type.fullName.replace(/^\./, ""), nameOf, numberOf: new Map(numbers), first: numbers[0]?.[0] ?? "" };
      this.#enums.set(type.fullName, made);
    }
    return made;
  }
}

interface OwnMessage {
  readonly name: string;
  readonly nested: readonly OwnMessage[];
}

function ownMessages(protobuf: typeof protobufjs, namespace: protobufjs.NamespaceBase): readonly OwnMessage[] {
  return namespace.nestedArray
    .filter((one): one is protobufjs.Type => one instanceof protobuf.Type)
    .map((type) => ({ name: type.fullName.replace(/^\./, ""), nested: ownMessages(protobuf, type) }));
}

/** Parses .proto text, with protobufjs already loaded. `imports` are by their import path. Throws SCHEMA_INVALID. */
export function parseProto(protobuf: typeof protobufjs, text: string, imports: Readonly<Record<string, string>> = {}): ProtoFile {
  try {
    // Alone first: the order of its own messages, which the ones of imports would mix with.
    const alone = new protobuf.Root();
    const { package: packageName } = protobuf.parse(text, alone, { keepCase: true });
    const own = packageName === undefined ? alone : alone.lookup(packageName);
    const root = new protobuf.Root();
    // protobufjs carries Google's well-known types, so that a file need not bring them.
    for (const name of importsOf(protobuf, [text, ...Object.values(imports)])) {
      const common = imports[name] === undefined ? protobuf.common.get(name) : null;
      if (common?.nested !== undefined) root.addJSON(common.nested);
    }
    for (const imported of Object.values(imports)) protobuf.parse(imported, root, { keepCase: true });
    protobuf.parse(text, root, { keepCase: true });
    root.resolveAll();
    return new ProtoFile(protobuf, root, own === null ? [] : ownMessages(protobuf, own as protobufjs.NamespaceBase));
  } catch (cause) {
    throw new MillraceError(
      "SCHEMA_INVALID",
      "Protobuf schema",
      messageOf(cause),
      "correct the schema, or give the files that it imports",
      { cause },
    );
  }
}

function importsOf(protobuf: typeof protobufjs, texts: readonly string[]): ReadonlySet<string> {
  return new Set(texts.flatMap((text) => protobuf.parse(text, new protobuf.Root(), { keepCase: true }).imports ?? []));
}

/** Loads protobufjs; throws DEPENDENCY_MISSING where it is not installed. */
export async function loadProtobufjs(): Promise<typeof protobufjs> {
  try {
    return (await import("protobufjs")).default;
  } catch (cause) {
    throw new MillraceError("DEPENDENCY_MISSING", "format protobuf", "the package protobufjs is not installed", "npm install protobufjs", {
      cause,
    });
  }
}
