// Kafka's jars, resolved from Maven Central into the cache, once per version.
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KAFKA_VERSION } from "./kafka-config.mjs";
import { cacheFolder, cachePath } from "./paths.mjs";
import { Problem } from "./problem.mjs";
import { withLock } from "./state.mjs";
import { has, run } from "./tools.mjs";

const COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

const artifacts = [
  ["org.apache.kafka", "kafka_2.13", KAFKA_VERSION],
  ["org.apache.kafka", "kafka-tools", KAFKA_VERSION],
  ["org.slf4j", "slf4j-simple", "1.7.36"],
];

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>millrace</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>${artifacts.map(([group, artifact, version]) => `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`).join("\n")}</dependencies></project>
`;

const ways = "or start Docker, or run a Kafka of your own and set MILLRACE_TEST_KAFKA=host:port";

/** The folder of the jars. */
export function installKafka(say) {
  return withLock(
    "install-kafka",
    () => {
      const folder = cachePath(`kafka-${KAFKA_VERSION}`);
      const libraries = join(folder, "libs");
      if (!has("java", ["-version"]))
        throw new Problem(
          "Kafka needs Java 17 or newer, and no java is on the PATH",
          `install one (Debian: apt-get install openjdk-17-jre-headless), ${ways}`,
        );
      if (existsSync(libraries)) return libraries;
      if (!has("mvn", ["-version"]))
        throw new Problem("installing Kafka needs Maven, and no mvn is on the PATH", `install it (Debian: apt-get install maven), ${ways}`);
      say(`installing Kafka ${KAFKA_VERSION} from Maven Central`);
      const fresh = mkdtempSync(join(folder, "install-"));
      try {
        writeFileSync(join(fresh, "pom.xml"), pom);
        run(
          "mvn",
          [
            "-B",
            "-q",
            "-f",
            join(fresh, "pom.xml"),
            COPY_DEPENDENCIES,
            "-DincludeScope=runtime",
            `-DoutputDirectory=${join(fresh, "libs")}`,
          ],
          {
            next: "check that Maven can reach its repository (mirrors and proxies are set in ~/.m2/settings.xml)",
          },
        );
        renameSync(join(fresh, "libs"), libraries);
      } finally {
        rmSync(fresh, { recursive: true, force: true });
      }
      return libraries;
    },
    { folder: cacheFolder },
  );
}
