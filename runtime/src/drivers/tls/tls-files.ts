// Certificates for mutual TLS from files that are mounted, under the names that Kubernetes gives to a certificate's Secret. They are read again
// when they change, so that a certificate that was renewed counts for the next connection.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";

/** PEM texts. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface TlsSource {
  /** What the next connection is to use. */
  current(): TlsMaterial;
}

/** Between two looks at the files, ms. */
const lookMs = 1000;
const next = "mount ca.crt, tls.crt and tls.key there, or leave the folder out";

export class TlsFiles implements TlsSource {
  readonly #folder: string;
  readonly #log: Log;
  readonly #now: () => number;
  #material: TlsMaterial;
  #lookedMs: number;
  /** What was told to be no good. */
  #toldOf = "";

  private constructor(folder: string, log: Log, now: () => number, material: TlsMaterial) {
    this.#folder = folder;
    this.#log = log;
    this.#now = now;
    this.#material = material;
    this.#lookedMs = now();
  }

  /** Throws TLS_FILES when they are missing or do not go together. */
  static open(folder: string, log: Log, now: () => number = () => performance.now()): TlsFiles {
    try {
      return new TlsFiles(folder, log, now, checked(read(folder)));
    } catch (cause) {
      throw new MillraceError("TLS_FILES", folder, messageOf(cause), next, { cause });
    }
  }

  // Three small files, read at most once a second and only when somebody connects: reading them at once keeps them from changing in between.
  current(): TlsMaterial {
    if (this.#now() - this.#lookedMs < lookMs) return this.#material;
    this.#lookedMs = this.#now();
    let found: TlsMaterial | undefined;
    try {
      found = read(this.#folder);
      if (textOf(found) === textOf(this.#material)) return this.#material;
      this.#material = checked(found);
      this.#toldOf = "";
      this.#log.info("certificates were renewed", { folder: this.#folder });
    } catch (error) {
      // Half of a renewal: the other half comes, and until then what was good is used.
      const about = found === undefined ? messageOf(error) : textOf(found);
      if (about !== this.#toldOf)
        this.#log.warn("renewed certificates are no good yet", { folder: this.#folder, reason: messageOf(error) });
      this.#toldOf = about;
    }
    return this.#material;
  }
}

function read(folder: string): TlsMaterial {
  const [ca, cert, key] = ["ca.crt", "tls.crt", "tls.key"].map((name) => readFileSync(join(folder, name), "utf8"));
  return { ca: ca as string, cert: cert as string, key: key as string };
}

// The key must be the certificate's.
function checked(material: TlsMaterial): TlsMaterial {
  createSecureContext(material);
  return material;
}

function textOf({ ca, cert, key }: TlsMaterial): string {
  return `${ca}\n${cert}\n${key}`;
}
