// Certificates that are read again: what a renewal must have before it counts. With certificates that openssl makes.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Authority, mount } from "../../../../test/support/authority.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { TlsFiles } from "./tls-files.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-tls-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a renewed certificate counts once its key is there too, and half of a renewal is told once", () => {
  const authority = new Authority(join(folder, "authority"), "authority");
  const [first, second] = [authority.issue("a"), authority.issue("b")];
  const mounted = mount(join(folder, "mounted"), authority.certificate, first);
  const lines: string[] = [];
  const log: Log = { ...silentLog, info: (message) => void lines.push(message), warn: (message) => void lines.push(message) };
  let nowMs = 0;
  const files = TlsFiles.open(mounted, log, () => nowMs);
  const later = (): string => {
    nowMs += 1000;
    return files.current().cert;
  };
  expect(later()).toBe(first.cert);
  writeFileSync(join(mounted, "tls.crt"), second.cert);
  expect([later(), later()]).toEqual([first.cert, first.cert]);
  expect(lines).toEqual(["renewed certificates are no good yet"]);
  rmSync(join(mounted, "tls.key"));
  expect(later()).toBe(first.cert);
  writeFileSync(join(mounted, "tls.key"), second.key);
  // Not looked at more often than once a second.
  expect(files.current().cert).toBe(first.cert);
  expect(later()).toBe(second.cert);
  expect(lines.at(-1)).toBe("certificates were renewed");
});

test("files that do not go together are TLS_FILES at the start", () => {
  const authority = new Authority(join(folder, "other"), "other");
  const mounted = mount(join(folder, "mixed"), authority.certificate, { cert: authority.issue("a").cert, key: authority.issue("b").key });
  expect(() => TlsFiles.open(mounted, silentLog)).toThrow(expect.objectContaining({ code: "TLS_FILES" }));
  expect(() => TlsFiles.open(join(folder, "nowhere"), silentLog)).toThrow(expect.objectContaining({ code: "TLS_FILES" }));
});
