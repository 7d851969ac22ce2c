// Test projects: `unit` needs nothing but this repository, `real` needs the Kafka and S3 that hack/ starts, `cluster` the Kubernetes.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const source = (path: string): string => at(`./runtime/src/${path}`);
const alias = [
  { find: /^millrace\/testing$/, replacement: source("testing/index.ts") },
  { find: /^millrace\/connector$/, replacement: source("connector.ts") },
  { find: /^millrace\/embedded$/, replacement: source("embedded.ts") },
  { find: /^millrace\/dataframe$/, replacement: source("dataframe.ts") },
  { find: /^millrace\/api$/, replacement: source("api/index.ts") },
  { find: /^millrace$/, replacement: source("index.ts") },
  // With the seed of the run.
  { find: /^fast-check$/, replacement: at("./test/reference/fast-check.ts") },
];

export default defineConfig({
  resolve: { alias },
  test: {
    allowOnly: false,
    // What a test waits for comes at once on a quiet machine and late on a busy one: limits end what hangs, and judge nothing.
    expect: { poll: { timeout: 60_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: [
            "runtime/src/**/*.test.ts",
            "src/**/*.test.ts",
            "test/{unit,tidy,nexmark,docs,cli,simulation}/**/*.test.ts",
            "docs/examples/**/*.test.ts",
          ],
          exclude: ["**/*.real.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: "real",
          include: ["runtime/src/**/*.real.test.ts", "test/real/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: "cluster",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/e2e/support/setup.ts"],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
