// What lies in the images, as folders: the same for `docker build` (docker/Dockerfile calls this) and for hack/image.
//
//   /node_modules            millrace and what it needs; a job in /app finds it there
//   /app                     the job's package, or a ConfigMap at /app/job
//   /opt/millrace/operator   the operator's process
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { closure, copyPackage, readLock } from "./production.mjs";

/** Clients that `millrace` loads when a job uses them; the image has them all. */
const optional = ["@aws-sdk/client-s3", "@duckdb/node-api", "@kubernetes/client-node", "@nxtedition/rocksdb", "protobufjs"];
/** What the operator imports; the tidy test knows its sources. */
const operatorPackages = ["@kubernetes/client-node", "croner", "prom-client", "undici"];
const USER = 1000;

/** Writes the runtime's files below `target`. */
export function assembleRuntime(root, target) {
  const lock = readLock(root);
  const own = JSON.parse(readFileSync(join(root, "runtime/package.json"), "utf8"));
  const known = { ...own.peerDependencies, ...own.dependencies };
  const names = [...Object.keys(own.dependencies), ...optional.filter((name) => known[name] !== undefined)];
  copyAll(root, target, closure(lock, "runtime", names));
  const place = join(target, "node_modules/millrace");
  mkdirSync(place, { recursive: true });
  for (const name of ["package.json", "LICENSE", "bin"]) cpSync(join(root, "runtime", name), join(place, name), { recursive: true });
  copyPackage(join(root, "runtime/dist"), join(place, "dist"));
  mkdirSync(join(target, "app"), { recursive: true });
  mkdirSync(join(target, "etc"), { recursive: true });
  writeFileSync(join(target, "etc/passwd"), `root:x:0:0:root:/:/sbin/nologin\nmillrace:x:${USER}:${USER}:millrace:/tmp:/sbin/nologin\n`);
  writeFileSync(join(target, "etc/group"), `root:x:0:\nmillrace:x:${USER}:\n`);
}

/** Writes the operator's files below `target`, on top of the runtime's. */
export function assembleOperator(root, target) {
  const lock = readLock(root);
  const place = join(target, "opt/millrace/operator");
  mkdirSync(place, { recursive: true });
  const { name, version, type } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  writeFileSync(join(place, "package.json"), `${JSON.stringify({ name, version, type, private: true }, undefined, 2)}\n`);
  copyAll(root, place, closure(lock, "", operatorPackages));
  cpSync(join(root, "src"), join(place, "src"), {
    recursive: true,
    filter: (path) => !/\.(test|suite)\.ts$|\/src\/simulation$/.test(path),
  });
}

function copyAll(root, target, paths) {
  for (const path of paths) {
    // A package in the workspace's own folder comes to the top, where `millrace` is.
    const place = path.replace(/^runtime\//, "node_modules/millrace/");
    copyPackage(join(root, path), join(target, place));
  }
}
