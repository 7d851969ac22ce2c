// What the files connectors need of the place where files are; local disks and S3 implement it.

export interface FoundFile {
  /** How the file is opened, and the id of its split: a local path as the user wrote it, or an s3:// URL. */
  readonly path: string;
  readonly modifiedMs: number;
}

/** The bytes of one file in order. */
export interface ByteStream {
  /** Reads up to `length` bytes into `target` from `at` on; resolves to how many came, 0 at the end of the file. */
  read(target: Buffer, at: number, length: number): Promise<number>;
  close(): Promise<void>;
}

/** A file whose parts are read in any order. */
export interface RandomFile {
  readonly sizeBytes: number;
  /** The bytes `[start, end)`. */
  slice(start: number, end: number): Promise<ArrayBuffer>;
  close(): Promise<void>;
}

/**
 * Files to read. Rejects with a `MillraceError`: FILES_PATH_MISSING, FILES_DENIED, FILES_CHANGED or FILES_READ_FAILED.
 */
export interface FileStore {
  /** The files of the location that are not hidden, in no order. Rejects with FILES_PATH_MISSING when what it names is not there. */
  list(): Promise<readonly FoundFile[]>;
  /** Opens a file for reading from byte `fromByte`. */
  openStream(path: string, fromByte: number): Promise<ByteStream>;
  openRandom(path: string): Promise<RandomFile>;
  close(): Promise<void>;
}
