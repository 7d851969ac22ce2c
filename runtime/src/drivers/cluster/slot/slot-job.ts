// What all slices of a slot share: the job as its module builds it, where its state and snapshots go, and how it reaches other slots.
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Compression } from "../../../checkpoint/format/data-file.ts";
import type { Sink } from "../../../core/ports/sink.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { StateBackendFactory } from "../../../core/ports/state-backend.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import type { ExchangeOptions } from "../../exchange/exchange.ts";
import type { Reception } from "../../exchange/handshake.ts";
import type { Transport } from "../../exchange/wire/wire.ts";
import type { BadRowOptions } from "../../task/bad-row-policy.ts";
import type { TaskRestore } from "../../task/task-parts.ts";
import type { SnapshotLocation } from "../slot-protocol.ts";

/** A snapshot that is open for the time of a restore. */
export interface OpenedSnapshot {
  readonly restore: TaskRestore;
  close(): Promise<void>;
}

export interface SlotJob {
  readonly dataflow: Dataflow;
  readonly planFingerprint: string;
  readonly maxParallelism: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly stateBackend: StateBackendFactory;
  /** What sources and sinks of a slot may hold of bytes on their way, together. */
  readonly bufferBytes?: number;
  readonly badRows: BadRowOptions;
  readonly deadLetterSink?: Sink;
  /** Where this slot's state on disk goes; each deployment has a folder of its own below it. */
  readonly directory: string;
  /** Where captures are written; undefined for a job that keeps nothing. */
  readonly snapshots?: { readonly storage: SnapshotStorage; readonly folder: string; readonly compression: Compression };
  /** Opens a snapshot and checks that this job may start from it. */
  readonly openSnapshot: (location: SnapshotLocation) => Promise<OpenedSnapshot>;
  readonly exchange: ExchangeOptions;
  readonly transport: Transport;
  readonly reception: Reception;
  /** How long a deployment waits for its peers, ms. */
  readonly connectTimeoutMs: number;
}
