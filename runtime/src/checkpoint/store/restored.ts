// A snapshot read for a restore: everything but keyed state is in memory, keyed state is read by key-group range when asked.
import type { OperatorStateEntry } from "../../core/ports/operator-state.ts";
import type { SourceSplit } from "../../core/ports/source.ts";
import type { StoredState } from "../../core/ports/state-backend.ts";
import type { Manifest, OperatorManifest } from "../format/manifest.ts";
import { decodeEntries } from "../format/payload.ts";
import type { Range } from "./lineage.ts";
import { redistribute, type StoredListPart } from "./redistribute.ts";
import type { StoredSnapshot } from "./stored-snapshot.ts";

export interface RestoredSplits {
  readonly splits: readonly { readonly split: SourceSplit; readonly watermarkMs: number }[];
  /** Ids of splits that have ended and must not be read again. */
  readonly finished: readonly string[];
  /** What `SplitEnumerator.snapshot` returned; undefined when it returned nothing. */
  readonly enumerator: unknown;
}

interface Loaded {
  readonly manifest: OperatorManifest;
  readonly lists: ReadonlyMap<string, readonly StoredListPart[]>;
  readonly sinkStates: readonly Uint8Array[] | undefined;
}

export class Restored {
  readonly #snapshot: StoredSnapshot;
  readonly #operators: ReadonlyMap<string, Loaded>;

  private constructor(snapshot: StoredSnapshot, operators: ReadonlyMap<string, Loaded>) {
    this.#snapshot = snapshot;
    this.#operators = operators;
  }

  /** Reads the operator state lists and sink states. Rejects with SNAPSHOT_CORRUPT. */
  static async load(snapshot: StoredSnapshot): Promise<Restored> {
    const file = `${snapshot.url}/manifest.json`;
    const load = async ([uid, manifest]: readonly [string, OperatorManifest]): Promise<readonly [string, Loaded]> => {
      const lists = await Promise.all(
        manifest.lists.map(async ({ name, parts }) => {
          const read = parts.map(async ({ subtask, payload }) => ({
            subtask,
            entries: decodeEntries(await snapshot.payload(payload), file),
          }));
          return [name, await Promise.all(read)] as const;
        }),
      );
      const sinkStates =
        manifest.sink === undefined ? undefined : await Promise.all(manifest.sink.map((one) => snapshot.payload(one.payload)));
      return [uid, { manifest, lists: new Map(lists), sinkStates }];
    };
    return new Restored(snapshot, new Map(await Promise.all(Object.entries(snapshot.manifest.operators).map(load))));
  }

  /** `file:///.../chk-7` or `s3://.../savepoints/before-upgrade`. */
  get url(): string {
    return this.#snapshot.url;
  }

  get manifest(): Manifest {
    return this.#snapshot.manifest;
  }

  get checkpointId(): number {
    return this.manifest.checkpointId;
  }

  /** True when the snapshot records that its sinks' output was committed. */
  get committed(): boolean {
    return this.#snapshot.committed;
  }

  get uids(): readonly string[] {
    return [...this.#operators.keys()];
  }

  /** Undefined when the snapshot has no keyed state for `uid`. Blocks are read as they are asked for. */
  keyedState(uid: string, keyGroups: Range): StoredState | undefined {
    return this.#snapshot.keyedState(uid, keyGroups);
  }

  /** What list `name` gives instance `subtask` of `parallelism`. */
  operatorState(uid: string, name: string, subtask: number, parallelism: number): readonly OperatorStateEntry[] {
    const operator = this.#operators.get(uid);
    const stored = operator?.manifest.lists.find((list) => list.name === name);
    if (operator === undefined || stored === undefined) return [];
    return redistribute(stored.redistribution, operator.lists.get(name) ?? [], operator.manifest.parallelism, subtask, parallelism);
  }

  /** What all instances of a sink had prepared; undefined when the snapshot knows no such sink. */
  sinkStates(uid: string): readonly Uint8Array[] | undefined {
    return this.#operators.get(uid)?.sinkStates;
  }

  source(uid: string): RestoredSplits | undefined {
    const source = this.#operators.get(uid)?.manifest.source;
    if (source === undefined) return undefined;
    return {
      splits: source.splits.map(({ id, position, watermarkMs }) => ({
        split: { id, position },
        watermarkMs: watermarkMs ?? Number.NEGATIVE_INFINITY,
      })),
      finished: source.finished,
      enumerator: source.enumerator,
    };
  }

  /** The least event time of the operator's instances, ms; -Infinity when there was none. */
  watermarkMs(uid: string): number {
    return this.#operators.get(uid)?.manifest.watermarkMs ?? Number.NEGATIVE_INFINITY;
  }
}
