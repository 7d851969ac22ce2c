// What the files sink needs of the place it writes to: files that nobody sees until they are committed.

/** A file that is written whole and not visible: what a checkpoint stores to be able to commit it later. Plain JSON. */
export type PendingFile =
  | { readonly kind: "local"; readonly temporary: string; readonly path: string }
  | { readonly kind: "s3"; readonly bucket: string; readonly key: string; readonly uploadId: string; readonly etags: readonly string[] };

/** A file that is being written. */
export interface OpenFile {
  /** Bytes that were appended and are still in memory; none where `append` waits for all of them. */
  readonly heldBytes?: number;
  append(bytes: Uint8Array): Promise<void>;
  /** Everything is safe on the disk or the server, and still invisible. */
  finish(): Promise<PendingFile>;
  /** Removes what was written. */
  abort(): Promise<void>;
}

/** Whose files an output holds: names say it, so that leftovers are told from the files of others. */
export interface Owner {
  readonly jobName: string;
  readonly uid: string;
  readonly subtask: number;
}

/** Rejects with FILES_WRITE_FAILED, FILES_DENIED, FILES_PATH_MISSING or FILES_COMMIT_LOST. */
export interface OutputStore {
  /** Begins the file `name`, a relative path whose last part is made by `partName`. */
  create(name: string): Promise<OpenFile>;
  /** Writes the file `name` whole, in place of one that has its name: readers see all of it or nothing. */
  publish(name: string, content: Uint8Array): Promise<void>;
  /** Makes files visible. What is visible already stays so. */
  commit(files: readonly PendingFile[]): Promise<void>;
  /**
   * Removes files of earlier runs that will never be committed: those that `isLeft` says by their names, except `kept`.
   */
  removeLeftovers(isLeft: (partName: string) => boolean, kept: readonly PendingFile[]): Promise<void>;
  close(): Promise<void>;
}
