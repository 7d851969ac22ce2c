// A certificate authority for tests, made with openssl: issues certificates into folders as a mounted Secret has them.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly certificate: string;
  readonly #folder: string;
  #issued = 0;

  constructor(folder: string, name: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    const files = ["-keyout", join(folder, "ca.key"), "-out", join(folder, "ca.crt")];
    openssl("req", "-x509", ...newKey, ...files, "-subj", `/CN=${name}`, "-days", "2");
    this.certificate = readFileSync(join(folder, "ca.crt"), "utf8");
  }

  issue(name: string): Issued {
    const path = (extension: string): string => join(this.#folder, `${name}-${this.#issued}.${extension}`);
    this.#issued++;
    openssl("req", ...newKey, "-keyout", path("key"), "-out", path("csr"), "-subj", `/CN=${name}`);
    const authority = ["-CA", join(this.#folder, "ca.crt"), "-CAkey", join(this.#folder, "ca.key"), "-CAcreateserial"];
    openssl("x509", "-req", "-in", path("csr"), ...authority, "-days", "2", "-out", path("crt"));
    return { cert: readFileSync(path("crt"), "utf8"), key: readFileSync(path("key"), "utf8") };
  }
}

/** Writes the files of a Secret; each is replaced at once, one after another. */
export function mount(folder: string, ca: string, { cert, key }: Issued): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries({ "ca.crt": ca, "tls.crt": cert, "tls.key": key })) {
    writeFileSync(join(folder, `.${name}`), content);
    renameSync(join(folder, `.${name}`), join(folder, name));
  }
  return folder;
}

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
