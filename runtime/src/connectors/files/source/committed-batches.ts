// Which files of a folder belong to whole batches: those that manifests of the files sink list.
import { MillraceError, isMillraceError, messageOf } from "../../../base/errors.ts";
import { type BatchManifest, manifestFolder } from "../sink/batch-manifest.ts";
import type { FileStore } from "../store/file-store.ts";
import { below, keyBelow, type Location } from "../store/location.ts";
import { openStore } from "../store/open-store.ts";
import type { FilesS3Options } from "../store/s3-client.ts";

export class CommittedBatches {
  readonly #location: Location;
  readonly #store: FileStore;
  /** By manifest, which never changes. */
  readonly #read = new Map<string, readonly string[]>();

  constructor(location: Location, s3: FilesS3Options) {
    this.#location = location;
    const base = location.kind === "s3" ? keyBelow(location.base, manifestFolder) : below(location.base, manifestFolder);
    this.#store = openStore({ ...location, base }, s3);
  }

  /** The paths of all files that belong to whole batches. */
  async paths(): Promise<ReadonlySet<string>> {
    const found = await this.#store.list().catch((error: unknown) => {
      // Nothing was committed yet.
      if (isMillraceError(error, "FILES_PATH_MISSING")) return [];
      throw error;
    });
    const paths = new Set<string>();
    for (const { path } of found) {
      if (!path.endsWith(".json")) continue;
      let files = this.#read.get(path);
      if (files === undefined) {
        files = await this.#files(path);
        this.#read.set(path, files);
      }
      for (const name of files) paths.add(this.#pathOf(name));
    }
    return paths;
  }

  #pathOf(name: string): string {
    const { kind, bucket, base } = this.#location;
    return kind === "s3" ? `s3://${bucket}/${keyBelow(base, name)}` : below(base, name);
  }

  async #files(path: string): Promise<readonly string[]> {
    const file = await this.#store.openRandom(path);
    try {
      const text = Buffer.from(await file.slice(0, file.sizeBytes)).toString("utf8");
      const { version, files } = JSON.parse(text) as Partial<BatchManifest>;
      if (version !== 1 || !Array.isArray(files)) throw new Error(`its version is ${String(version)}`);
      return files;
    } catch (cause) {
      if (isMillraceError(cause)) throw cause;
      throw new MillraceError(
        "FILES_CORRUPT",
        path,
        `is no manifest of a batch: ${messageOf(cause)}`,
        "restore it, or read without manifests",
        {
          cause,
        },
      );
    } finally {
      await file.close();
    }
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
