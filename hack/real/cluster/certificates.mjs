// The cluster's certificate authority, its certificates, the service-account key and the kubeconfigs that hold them.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../problem.mjs";
import { has, run } from "../tools.mjs";

/** Writes everything into `folder` once; `address` is the node's, `service` the first of the services' addresses. */
export function makeClusterCertificates(folder, { address, service, node }) {
  if (existsSync(join(folder, "complete"))) return;
  if (!has("openssl", ["version"])) throw new Problem("openssl is missing", "install openssl (Debian: apt-get install openssl)");
  mkdirSync(folder, { recursive: true });
  const path = (name) => join(folder, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  run("openssl", [
    "req",
    "-x509",
    ...key,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.crt"),
    "-subj",
    "/CN=millrace-cluster",
    "-days",
    "365",
  ]);
  const serverNames = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"].map((name) => `DNS:${name}`);
  const addresses = (...all) => all.map((one) => `IP:${one}`);
  const certificates = [
    ["apiserver", "/CN=kube-apiserver", [...serverNames, ...addresses("127.0.0.1", service, address)]],
    ["kubelet", `/O=system:nodes/CN=system:node:${node}`, [`DNS:${node}`, ...addresses("127.0.0.1", address)]],
    ["admin", "/O=system:masters/CN=admin", []],
  ];
  for (const [name, subject, alternatives] of certificates) {
    writeFileSync(path(`${name}.ext`), alternatives.length === 0 ? "" : `subjectAltName=${alternatives.join(",")}\n`);
    run("openssl", ["req", ...key, "-keyout", path(`${name}.key`), "-out", path(`${name}.csr`), "-subj", subject]);
    const signer = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "365"];
    run("openssl", ["x509", "-req", "-in", path(`${name}.csr`), ...signer, "-extfile", path(`${name}.ext`), "-out", path(`${name}.crt`)]);
  }
  run("openssl", ["genrsa", "-out", path("sa.key"), "2048"]);
  run("openssl", ["rsa", "-in", path("sa.key"), "-pubout", "-out", path("sa.pub")]);
  for (const name of ["admin", "kubelet"]) writeFileSync(path(`${name}.kubeconfig`), kubeconfig(folder, name, address));
  writeFileSync(path("complete"), "");
}

/** JSON is YAML: a kubeconfig that names no file, so that it can be copied. */
function kubeconfig(folder, name, address) {
  const data = (file) => readFileSync(join(folder, file)).toString("base64");
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "millrace",
      clusters: [{ name: "millrace", cluster: { server: `https://${address}:6443`, "certificate-authority-data": data("ca.crt") } }],
      users: [{ name, user: { "client-certificate-data": data(`${name}.crt`), "client-key-data": data(`${name}.key`) } }],
      contexts: [{ name: "millrace", context: { cluster: "millrace", user: name, namespace: "default" } }],
    },
    undefined,
    2,
  )}\n`;
}
