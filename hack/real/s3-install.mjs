// The S3 server's program, built by Go into the cache, once per version.
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, cachePath } from "./paths.mjs";
import { Problem } from "./problem.mjs";
import { withLock } from "./state.mjs";
import { has, run } from "./tools.mjs";

export const VERSITYGW_VERSION = "1.8.0";

/** The path of the program. */
export function installVersitygw(say) {
  return withLock(
    "install-versitygw",
    () => {
      const folder = cachePath(`versitygw-${VERSITYGW_VERSION}`);
      const program = join(folder, "versitygw");
      if (existsSync(program)) return program;
      if (!has("go", ["version"])) {
        throw new Problem(
          "the S3 server is built with Go, and no go is on the PATH",
          "install Go (https://go.dev/dl), or start Docker, or run an S3 server of your own and set MILLRACE_TEST_S3_ENDPOINT, MILLRACE_TEST_S3_KEY and MILLRACE_TEST_S3_SECRET",
        );
      }
      say(`building versitygw ${VERSITYGW_VERSION}, about two minutes the first time`);
      const fresh = mkdtempSync(join(folder, "install-"));
      try {
        run("go", ["install", `github.com/versity/versitygw/cmd/versitygw@v${VERSITYGW_VERSION}`], {
          // Its own module mode, whatever folder this runs in; without cgo nothing but Go is needed.
          env: { GOBIN: fresh, GOFLAGS: "-mod=mod", GOWORK: "off", CGO_ENABLED: "0" },
          next: "check that Go can reach its module proxy (go env GOPROXY)",
        });
        renameSync(join(fresh, "versitygw"), program);
      } finally {
        rmSync(fresh, { recursive: true, force: true });
      }
      return program;
    },
    { folder: cacheFolder },
  );
}
