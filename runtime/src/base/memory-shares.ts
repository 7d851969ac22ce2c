// How a process shares its memory out between what takes it, so that all of it together stays below one limit.

export interface MemoryShares {
  /** Of the process as a whole. */
  readonly limitBytes: number;
  /** Node itself, native libraries, code. */
  readonly processBytes: number;
  /** JavaScript objects. */
  readonly objectBytes: number;
  /** Keyed state in memory: the tables, or with RocksDB the part that is not on disk. */
  readonly stateBytes: number;
  /** RocksDB's cache and write buffers, of all instances together. */
  readonly databaseBytes: number;
  /** What sources have fetched and sinks have not sent, of all instances together. */
  readonly bufferBytes: number;
}

const mebibyte = 1024 * 1024;
const processBytes = 80 * mebibyte;
/** Below this a process cannot do anything useful; the shares are then those of a process of this size. */
const leastBytes = 160 * mebibyte;
/** What a process takes where nothing limits it: a machine is shared with others. */
export const unlimitedBytes: number = 640 * mebibyte;
/** Parts of what is left beside the process itself. The rest is reserve: what is freed is not given back at once. */
const parts = { object: 0.15, state: 0.45, database: 0.12, buffer: 0.12 };

/** The shares of a process that may take `limitBytes`. They add up to less than the limit. */
export function shareMemory(limitBytes: number): MemoryShares {
  const limit = Math.max(leastBytes, limitBytes);
  const rest = limit - processBytes;
  const part = (share: number): number => Math.floor(rest * share);
  return {
    limitBytes: limit,
    processBytes,
    objectBytes: part(parts.object),
    stateBytes: part(parts.state),
    databaseBytes: part(parts.database),
    bufferBytes: part(parts.buffer),
  };
}

/**
 * What a process may take: its container's limit, or `unlimitedBytes` where there is none. `constrainedBytes` is what the system says about
 * the process: zero or more than the machine has where nothing limits it.
 */
export function memoryLimit(constrainedBytes: number, machineBytes: number): number {
  const limited = constrainedBytes > 0 && constrainedBytes < machineBytes;
  return limited ? constrainedBytes : Math.min(unlimitedBytes, machineBytes);
}
