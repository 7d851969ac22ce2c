// Collects the nodes of a dataflow while a job's function runs, and gives each one its uid.
import { MillraceError } from "../base/errors.ts";
import type { ChangelogMode } from "../core/ports/sink.ts";
import type { Schema } from "../core/schema/schema.ts";
import type { Dataflow, DataflowInput, DataflowNode } from "../plan/dataflow.ts";

const uidPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const maxNodes = 10_000;

export interface NodeSpec {
  readonly kind: string;
  /** The user's uid; undefined to derive one. */
  readonly uid?: string | undefined;
  readonly inputs: readonly DataflowInput[];
  readonly schema: Schema;
  readonly sideSchemas?: ReadonlyMap<string, Schema>;
  readonly changelog?: ChangelogMode;
  readonly stateful?: boolean;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Fields of each input that are read by name; null for "any". */
  readonly reads?: readonly (readonly string[] | null)[];
  readonly parallelism?: number | undefined;
  readonly body: DataflowNode["body"];
}

export class GraphBuilder {
  readonly #name: string;
  readonly #nodes: DataflowNode[] = [];
  readonly #uids = new Set<string>();

  constructor(name: string) {
    this.#name = name;
  }

  add(spec: NodeSpec): DataflowNode {
    if (this.#nodes.length >= maxNodes) {
      throw new MillraceError("PLAN_TOO_LARGE", `job ${this.#name}`, `it has more than ${maxNodes} operators`, "split the job");
    }
    const uid = spec.uid === undefined ? this.#deriveUid(spec) : this.#takeUid(spec.uid);
    const node: DataflowNode = {
      id: this.#nodes.length,
      uid,
      uidDerived: spec.uid === undefined,
      kind: spec.kind,
      inputs: spec.inputs,
      schema: spec.schema,
      sideSchemas: spec.sideSchemas ?? new Map(),
      changelog: spec.changelog ?? "append",
      stateful: spec.stateful ?? false,
      options: spec.options ?? {},
      reads: spec.reads ?? spec.inputs.map(() => null),
      ...(spec.parallelism === undefined ? {} : { parallelism: spec.parallelism }),
      body: spec.body,
    };
    this.#nodes.push(node);
    return node;
  }

  #takeUid(uid: string): string {
    if (!uidPattern.test(uid)) {
      throw new MillraceError(
        "PLAN_UID_INVALID",
        `uid "${uid}"`,
        "is not usable",
        "use up to 100 letters, digits, dots, dashes and underscores, beginning with a letter or digit",
      );
    }
    if (this.#uids.has(uid)) {
      throw new MillraceError(
        "PLAN_UID_TWICE",
        `uid "${uid}"`,
        "is given to two operators",
        "give each operator its own: state is found by it",
      );
    }
    this.#uids.add(uid);
    return uid;
  }

  // From the first input and the kind, numbered where that is taken: stable as long as nothing before it changes.
  #deriveUid(spec: NodeSpec): string {
    const base = `${spec.inputs[0]?.from.uid ?? "flow"}.${spec.kind}`.slice(-90);
    let uid = base;
    for (let n = 2; this.#uids.has(uid); n++) uid = `${base}-${n}`;
    this.#uids.add(uid);
    return uid;
  }

  build(): Dataflow {
    if (this.#nodes.length === 0) {
      throw new MillraceError("PLAN_EMPTY", `job ${this.#name}`, "has no source", "begin with flow.source(...)");
    }
    const read = new Set(this.#nodes.flatMap((node) => node.inputs.map((input) => input.from)));
    for (const node of this.#nodes) {
      if (node.body.kind !== "sink" && !read.has(node)) {
        throw new MillraceError(
          "PLAN_DANGLING",
          `operator "${node.uid}"`,
          "has no consumer",
          'send it somewhere, for example .to("name", blackhole()), or remove it',
        );
      }
    }
    return { name: this.#name, nodes: this.#nodes };
  }

  /** Stateful operators whose uid was derived: a change of the job could lose their state. */
  derivedUids(): readonly string[] {
    return this.#nodes.filter((node) => node.stateful && node.uidDerived).map((node) => node.uid);
  }
}
