// Where snapshots live: a folder of immutable objects and a few that are replaced conditionally.

export interface StoredObject {
  readonly path: string;
  readonly sizeBytes: number;
  /** When it was written, ms since the epoch, by the storage's clock. */
  readonly modifiedMs: number;
}

/** The version of an object as its storage names it (an ETag, a content hash); opaque. */
export type ObjectVersion = string;

/** A new object that is streamed: readers see nothing of it until `finish` resolves. One call at a time. */
export interface ObjectWriter {
  /** Takes the bytes over: they must not change afterwards. Resolves when there is room for more. */
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  /** Drops what was written; after `finish` or a second time it does nothing. */
  abort(): Promise<void>;
}

/**
 * Paths are relative to the storage's root, with `/` between parts; a part starts with a letter, a digit or `_` and holds those, `.`, `-`
 * and `=`. All calls reject with a `MillraceError` whose code is STORAGE_UNREACHABLE, STORAGE_DENIED, STORAGE_MISSING (the bucket or
 * folder itself), STORAGE_FULL, OBJECT_MISSING or OBJECT_CONFLICT; the first is retried inside, within the storage's deadline.
 */
export interface SnapshotStorage {
  /** `file:///...` or `s3://bucket/prefix`. */
  readonly url: string;
  /** Writes an object whole: readers see all of it or nothing. Replaces what is there. */
  put(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void>;
  /** The same for content that is made piece by piece, in bounded memory. */
  openWriter(path: string): ObjectWriter;
  /** Creates the object, or rejects with OBJECT_CONFLICT when it is there already. */
  create(path: string, content: Uint8Array): Promise<ObjectVersion>;
  /** Replaces the object if it still has `version`, else rejects with OBJECT_CONFLICT. */
  replace(path: string, content: Uint8Array, version: ObjectVersion): Promise<ObjectVersion>;
  get(path: string): Promise<{ readonly content: Buffer; readonly version: ObjectVersion }>;
  /** A byte range `[start, end)`; shorter where the object ends before. */
  getRange(path: string, start: number, end: number): Promise<Buffer>;
  /** All objects whose path starts with `prefix`, in order of their paths' bytes. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Deletes; what is not there is no error. */
  delete(paths: readonly string[]): Promise<void>;
  /** Removes what writers that died left unfinished (temporary files, parts) and is older than `olderThanMs`; returns how many. */
  cleanUnfinished(olderThanMs: number): Promise<number>;
  close(): Promise<void>;
}
