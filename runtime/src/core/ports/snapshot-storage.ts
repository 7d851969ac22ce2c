// Where snapshots live: a folder of immutable objects and a few that are replaced conditionally.

export interface StoredObject {
  readonly path: string;
  readonly sizeBytes: number;
}

/** The version of an object as its storage names it (an ETag, a generation); opaque. */
export type ObjectVersion = string;

/**
 * Paths are relative to the storage's root, with `/` between parts. All calls reject with a `MillraceError` whose code is
 * STORAGE_UNREACHABLE, STORAGE_DENIED, STORAGE_FULL, OBJECT_MISSING or OBJECT_CONFLICT; the first is retried inside, within `deadlineMs`.
 */
export interface SnapshotStorage {
  /** `file:///...` or `s3://bucket/prefix`. */
  readonly url: string;
  /** Writes a new object whole: readers see all of it or nothing. */
  put(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void>;
  /** Creates the object, or rejects with OBJECT_CONFLICT when it is there already. */
  create(path: string, content: Uint8Array): Promise<ObjectVersion>;
  /** Replaces the object if it still has `version`, else rejects with OBJECT_CONFLICT. */
  replace(path: string, content: Uint8Array, version: ObjectVersion): Promise<ObjectVersion>;
  get(path: string): Promise<{ readonly content: Buffer; readonly version: ObjectVersion }>;
  /** A byte range `[start, end)`. */
  getRange(path: string, start: number, end: number): Promise<Buffer>;
  /** All objects under a prefix, in order of their paths. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Deletes; what is not there is no error. */
  delete(paths: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
