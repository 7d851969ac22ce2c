// Mutual TLS of the control plane, from files that are mounted: the names that Kubernetes gives to a certificate's Secret.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { MillraceError, messageOf } from "../../../base/errors.ts";

export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Reads `ca.crt`, `tls.crt` and `tls.key`; undefined without a folder. Rejects with TLS_FILES. */
export async function readTls(folder: string | undefined): Promise<TlsMaterial | undefined> {
  if (folder === undefined) return undefined;
  try {
    const [ca, cert, key] = await Promise.all(["ca.crt", "tls.crt", "tls.key"].map((name) => readFile(join(folder, name), "utf8")));
    return { ca: ca as string, cert: cert as string, key: key as string };
  } catch (cause) {
    throw new MillraceError("TLS_FILES", folder, messageOf(cause), "mount ca.crt, tls.crt and tls.key there, or leave the folder out", {
      cause,
    });
  }
}
