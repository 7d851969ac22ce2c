// How both ends of a job's connections use TLS: each shows a certificate, and each checks that the other's is of the job's own authority. Names
// are not checked: pods have addresses that no certificate can know.
import type { Server, TLSSocket } from "node:tls";
import type { TlsMaterial, TlsSource } from "./tls-files.ts";

/** The same refusal is told again after this, ms. */
const againMs = 60_000;
const keptPeers = 256;

export interface ServerTls extends TlsMaterial {
  readonly requestCert: true;
  readonly rejectUnauthorized: true;
  readonly minVersion: "TLSv1.2";
}

export function serverTls(source: TlsSource): ServerTls {
  return { ...source.current(), requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.2" };
}

export function clientTls(source: TlsSource): TlsMaterial & { readonly checkServerIdentity: () => undefined } {
  return { ...source.current(), checkServerIdentity: () => undefined };
}

/** Takes renewed certificates up with the next connection, and tells of connections that were refused. */
export function watchServer(server: Server, source: TlsSource, refused: (peer: string, reason: string) => void): void {
  let used = source.current();
  // Before the server's own listener, which begins the handshake with what is set by then.
  server.prependListener("connection", () => {
    const now = source.current();
    if (now === used) return;
    used = now;
    server.setSecureContext({ ...now, minVersion: "TLSv1.2" });
  });
  const told = new Map<string, number>();
  server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    const peer = socket.remoteAddress ?? "somebody who is gone";
    // Whose certificate is no good is hung up on, and what was wrong with it is noted on the socket.
    const noted: unknown = socket.authorizationError;
    const known = typeof noted === "string" ? problemOf(noted) : tlsProblem(error);
    const reason = known ?? `the other side broke the handshake off, perhaps over this process's certificate: ${error.message}`;
    const key = `${peer} ${reason}`;
    const nowMs = performance.now();
    // Who is refused comes again and again.
    if (nowMs - (told.get(key) ?? -Infinity) < againMs) return;
    if (told.size >= keptPeers) told.clear();
    told.set(key, nowMs);
    refused(peer, reason);
  });
}

const foreign: ReadonlySet<string> = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
  "ERR_SSL_CERTIFICATE_VERIFY_FAILED",
]);

/** What a handshake failed of, in words; undefined for what has nothing to do with certificates. */
export function tlsProblem(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? problemOf(String(error.code)) : undefined;
}

function problemOf(code: string): string | undefined {
  const advice = "give all processes of the job certificates of one authority, and its ca.crt";
  if (foreign.has(code)) return `the other side's certificate is not signed by this process's ca.crt (${code}); ${advice}`;
  if (code === "CERT_HAS_EXPIRED") return "the other side's certificate has expired; renew it";
  if (code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") return `the other side showed no certificate; ${advice}`;
  if (/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|DECRYPT_ERROR)$/.test(code))
    return `the other side does not accept this process's certificate (${code}); ${advice}`;
  if (code.endsWith("ALERT_CERTIFICATE_EXPIRED")) return "the other side says that this process's certificate has expired; renew it";
  if (code.endsWith("ALERT_CERTIFICATE_REQUIRED")) return `the other side asks for a certificate, and this process has none; ${advice}`;
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_HTTP_REQUEST")
    return `one side uses TLS and the other does not; ${advice}`;
  return undefined;
}
