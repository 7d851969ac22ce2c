// A certificate authority of one's own, a server's and a client's certificate for 127.0.0.1 and localhost, by openssl. For tests only.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "./problem.mjs";
import { has, run } from "./tools.mjs";

/** Writes `ca.crt`, `server.pem` (key and chain), `client.crt` and `client.key` into `folder`. */
export function makeCertificates(folder) {
  if (!has("openssl", ["version"]))
    throw new Problem(
      "openssl is missing, and --secure needs it to make certificates",
      "install openssl (Debian: apt-get install openssl)",
    );
  mkdirSync(folder, { recursive: true });
  const path = (name) => join(folder, name);
  const newKey = ["-newkey", "rsa:2048", "-nodes"];
  run("openssl", [
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.crt"),
    "-subj",
    "/CN=millrace-test-ca",
    "-days",
    "365",
  ]);
  for (const [name, subject, extension] of [
    ["server", "/CN=localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ["client", "/CN=millrace-test-client", "extendedKeyUsage=clientAuth"],
  ]) {
    writeFileSync(path(`${name}.ext`), `${extension}\n`);
    run("openssl", ["req", ...newKey, "-keyout", path(`${name}.key`), "-out", path(`${name}.csr`), "-subj", subject]);
    const signed = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial", "-extfile", path(`${name}.ext`), "-days", "365"];
    run("openssl", ["x509", "-req", "-in", path(`${name}.csr`), ...signed, "-out", path(`${name}.crt`)]);
  }
  writeFileSync(path("server.pem"), readFileSync(path("server.key"), "utf8") + readFileSync(path("server.crt"), "utf8"));
}
