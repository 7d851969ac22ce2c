// What a slot's thread is told when it starts: plain data, the same for all slots of a process but for the index.
import type { ExchangeOptions } from "../../drivers/exchange/exchange.ts";
import type { LogFormat, LogLevel } from "../run/logging.ts";
import type { RunConfig } from "../run/run-config.ts";

export interface SlotThreadConfig {
  readonly taskManagerId: string;
  /** The job as the manifest has it. Its sizes of memory are a slot's share. */
  readonly run: RunConfig;
  /** The job's folder in the snapshot storage. */
  readonly jobId: string;
  /** State on disk goes below it; each slot has a folder of its own there, which is emptied at its start. */
  readonly directory: string;
  /** Of the first slot's exchange server, the next slot has the next one; 0 for any free ports. */
  readonly exchangePort: number;
  readonly exchange: ExchangeOptions;
  /** Where the certificates are mounted. */
  readonly tlsDir?: string;
  /** Of a run that stands by: where its process keeps copies of the newest checkpoint's files. */
  readonly copies?: string;
  readonly log: { readonly format: LogFormat; readonly level: LogLevel };
}

/** As it arrives in the thread. */
export interface SlotThreadData extends SlotThreadConfig {
  readonly index: number;
  readonly host: string;
}
