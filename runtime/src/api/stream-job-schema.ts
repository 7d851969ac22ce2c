// The StreamJob manifest as a JSON schema: the check of `millrace run -f`, and the descriptions that people read.

import { lifecycleProperties } from "./lifecycle-schema.ts";
import { duration, object, strings, text } from "./schema-parts.ts";

export const streamJobSchema: object = object(
  {
    apiVersion: { const: "millrace.dev/v1alpha1" },
    kind: { const: "StreamJob" },
    metadata: object(
      {
        name: { type: "string", pattern: "^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$", description: "The job's name." },
        namespace: text("The namespace in a cluster."),
        labels: strings("Labels."),
        annotations: strings("Annotations."),
      },
      ["name"],
      "Name and labels.",
    ),
    spec: object(
      {
        image: text("The image of the job's pods; not used by millrace run."),
        job: object(
          {
            module: text("The module whose default export is the job, relative to the manifest."),
            parameters: strings("Handed to the job's function as flow.parameters."),
            initialSavepoint: text("Start from this savepoint or checkpoint when the job has no checkpoint of its own."),
            allowNonRestoredState: {
              type: "boolean",
              description: "Drop state that no operator of the job uses instead of refusing to start.",
            },
          },
          ["module"],
          "What to run.",
        ),
        parallelism: { type: "integer", minimum: 1, maximum: 32768, description: "How many instances each operator has. Default 1." },
        maxParallelism: {
          type: "integer",
          minimum: 1,
          maximum: 32768,
          description: "The number of key groups; fixed for the job's life. Default 128.",
        },
        checkpoints: object(
          {
            storage: { type: "string", pattern: "^(file|s3)://", description: "file:///path or s3://bucket/prefix." },
            interval: duration("Time between two checkpoints. Default 10 s."),
            minPause: duration("The least time between the end of one checkpoint and the start of the next."),
            retained: { type: "integer", minimum: 1, maximum: 1000, description: "How many completed checkpoints are kept. Default 3." },
            tolerableFailures: {
              type: "integer",
              minimum: 0,
              description: "How many attempts to write one checkpoint may fail. Default 10.",
            },
            s3: object(
              {
                endpoint: text("URL of the S3 endpoint."),
                region: text("Region."),
                forcePathStyle: { type: "boolean", description: "Bucket in the path." },
              },
              [],
              "For s3:// storage that is not AWS.",
            ),
          },
          [],
          "Checkpoints: how often, and where to.",
        ),
        state: object(
          {
            backend: { enum: ["memory", "rocksdb"], description: "memory (default), or rocksdb for state larger than memory." },
            memoryBudget: {
              anyOf: [{ type: "integer", minimum: 1 }, { type: "string" }],
              description: "For rocksdb: heap that state may take, such as 256Mi.",
            },
          },
          [],
          "Where state lives while the job runs.",
        ),
        badRecords: object(
          {
            onBadRecord: {
              enum: ["dead-letter", "fail"],
              description: "What happens to a record that cannot be processed. Default dead-letter.",
            },
            maxPerMinute: { type: "integer", minimum: 0, description: "Above this many in a minute the job fails. Default 1000." },
            deadLetters: {
              description: "Where dead letters go; default the log.",
              oneOf: [
                object(
                  {
                    kafka: object(
                      { brokers: { type: "array", items: { type: "string" }, minItems: 1 }, topic: text("The topic.") },
                      ["brokers", "topic"],
                      "To a Kafka topic.",
                    ),
                  },
                  ["kafka"],
                  "To Kafka.",
                ),
                object({ files: object({ path: text("The folder.") }, ["path"], "To files.") }, ["files"], "To files."),
              ],
            },
          },
          [],
          "Records that cannot be processed.",
        ),
        ...lifecycleProperties,
      },
      ["job"],
      "The job.",
    ),
  },
  ["apiVersion", "kind", "metadata", "spec"],
  "A streaming job.",
);
