// How often each word was said: lines from one topic, a count per word into another.
import { count, int53, job, json, kafkaSink, kafkaSource, schema, string } from "millrace";

const Line = schema({ text: string() });
const Word = schema({ word: string() });
const Count = schema({ word: string(), times: int53() });

export default job("word-count", (flow) => {
  const bootstrapServers = flow.parameter("brokers", "localhost:9092");
  flow
    .source("lines", kafkaSource({ bootstrapServers, topic: flow.parameter("input", "lines"), format: json(Line) }))
    .flatMap(Word, (line, emit) => {
      for (const word of line.text.toLowerCase().split(/\W+/)) if (word !== "") emit({ word });
    })
    .keyBy("word")
    .aggregate({ times: count() }, { uid: "count", upsert: true })
    .to(
      "counts",
      kafkaSink({ bootstrapServers, topic: flow.parameter("output", "counts"), format: json(Count), key: "word", mode: "upsert" }),
    );
});
