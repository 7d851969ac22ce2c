// An image archive, as `docker save` writes it, from folders: every folder becomes a layer. The same files give the same bytes.
import { createHash } from "node:crypto";
import { copyFileSync, createReadStream, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../real/tools.mjs";

/** Order, owner and times do not come from this machine. */
export const archiveOptions = [
  "--sort=name",
  "--mtime=@0",
  "--owner=0",
  "--group=0",
  "--numeric-owner",
  "--format=posix",
  "--pax-option=delete=atime,delete=ctime",
];
const architectures = { x64: "amd64", arm64: "arm64" };

/**
 * Writes `file`. `layers` are folders whose content lies at the image's root, lowest first; `config` is the image's configuration
 * (Entrypoint, Env, User, WorkingDir, Labels). Returns the digest of the configuration, which names the image's whole content.
 */
export async function writeImage({ name, layers, config, file }) {
  mkdirSync(dirname(file), { recursive: true });
  const fresh = mkdtempSync(`${file}-`);
  try {
    const diffIds = [];
    for (const [i, layer] of layers.entries()) {
      const archive = join(fresh, `layer-${i}.tar`);
      if (layer.archive === undefined) run("tar", [...archiveOptions, "-C", layer.folder, "-cf", archive, "."]);
      else copyFileSync(layer.archive, archive);
      diffIds.push(await sha256(archive));
    }
    const text = JSON.stringify({
      architecture: architectures[process.arch],
      os: "linux",
      created: "1970-01-01T00:00:00Z",
      config,
      rootfs: { type: "layers", diff_ids: diffIds.map((digest) => `sha256:${digest}`) },
    });
    const digest = createHash("sha256").update(text).digest("hex");
    writeFileSync(join(fresh, `${digest}.json`), text);
    const manifest = [{ Config: `${digest}.json`, RepoTags: [name], Layers: layers.map((_, i) => `layer-${i}.tar`) }];
    writeFileSync(join(fresh, "manifest.json"), JSON.stringify(manifest));
    const packed = `${fresh}.tar`;
    run("tar", [...archiveOptions, "-C", fresh, "-cf", packed, "manifest.json", `${digest}.json`, ...manifest[0].Layers]);
    renameSync(packed, file);
    return `sha256:${digest}`;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(`${fresh}.tar`, { force: true });
  }
}

async function sha256(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}
