// The store of a location.
import type { FileStore } from "./file-store.ts";
import { LocalStore } from "./local-store.ts";
import type { Location } from "./location.ts";
import type { FilesS3Options } from "./s3-client.ts";
import { S3Store } from "./s3-store.ts";

export function openStore(location: Location, s3: FilesS3Options): FileStore {
  return location.kind === "s3" ? new S3Store(location, s3) : new LocalStore(location);
}
