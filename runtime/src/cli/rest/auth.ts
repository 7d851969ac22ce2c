// The bearer token of the REST API: read from its file at every request, so that a rotated Secret counts at once.
import { readFileSync } from "node:fs";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { sameToken } from "../../drivers/cluster/rpc/rpc-server.ts";

/** A function that reads the token; undefined without a file. Throws TOKEN_FILE when there is a file and it cannot be read. */
export function tokenReader(path: string | undefined): (() => string) | undefined {
  if (path === undefined) return undefined;
  const read = (): string => {
    let text: string;
    try {
      text = readFileSync(path, "utf8").trim();
    } catch (cause) {
      throw new MillraceError("TOKEN_FILE", path, messageOf(cause), "mount the Secret, or leave the token file out", { cause });
    }
    if (text === "") throw new MillraceError("TOKEN_FILE", path, "is empty", "write a token into it");
    return text;
  };
  // A mistake shows at the start, not at the first request.
  read();
  return read;
}

/** True when the header carries the token; the time it takes tells nothing about it. */
export function isAuthorized(header: string | undefined, token: string): boolean {
  return sameToken(header, `Bearer ${token}`);
}
