// The exchange over mutual TLS, with certificates that openssl makes.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { overTcp } from "./over-tcp.suite.ts";
import type { TlsMaterial, TlsSource } from "../../tls/tls-files.ts";
import { TcpTransport } from "./tcp-wire.ts";
import { wireSuite } from "./wire.suite.ts";

// A certificate that signs itself stands for an authority and its member.
function selfSigned(): TlsSource {
  const directory = mkdtempSync(join(tmpdir(), "millrace-tls-"));
  try {
    const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const subject = ["-subj", "/CN=slot", "-addext", "subjectAltName=IP:127.0.0.1"];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        cert,
        ...subject,
      ],
      { stdio: "ignore" },
    );
    const material: TlsMaterial = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8"), ca: readFileSync(cert, "utf8") };
    return { current: () => material };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const tls = selfSigned();
wireSuite("by TLS", (incoming) => overTcp(incoming, tls));

describe("TLS", () => {
  test("a peer without a certificate, or with another authority's, is not let in", async () => {
    const taken: unknown[] = [];
    const server = await TcpTransport.listen({ host: "127.0.0.1", port: 0, tls }, (wire) => taken.push(wire));
    const address = { slot: 1, taskManagerId: "b", host: "127.0.0.1", port: server.port };
    const stranger = await TcpTransport.listen({ host: "127.0.0.1", port: 0, tls: selfSigned() }, () => {});
    const plain = await TcpTransport.listen({ host: "127.0.0.1", port: 0, connectTimeoutMs: 2000 }, () => {});
    await expect(stranger.dial(address)).rejects.toMatchObject({ code: "EXCHANGE_UNREACHABLE" });
    const wire = await plain.dial(address);
    const lost = Promise.withResolvers<string>();
    wire.listen({ frame() {}, lost: (reason) => lost.resolve(reason) });
    wire.send(new ArrayBuffer(64));
    await lost.promise;
    expect(taken).toEqual([]);
    for (const each of [server, stranger, plain]) await each.close();
  });
});
