// Page views per region and minute: each click with the region that its user had at that time.
import { boundedOutOfOrderness, count, int53, job, json, kafkaSink, kafkaSource, schema, string, timestamp, tumbling } from "millrace";

const Click = schema({ user: string(), page: string(), at: timestamp() });
const Profile = schema({ user: string(), region: string(), since: timestamp() });
const Views = schema({ region: string(), windowStart: timestamp(), windowEnd: timestamp(), views: int53() });

export default job("clickstream", (flow) => {
  const bootstrapServers = flow.parameter("brokers", "localhost:9092");
  const watermarks = boundedOutOfOrderness("5 s");
  const clicks = flow.source("clicks", kafkaSource({ bootstrapServers, topic: flow.parameter("clicks", "clicks"), format: json(Click) }), {
    time: "at",
    watermarks,
  });
  const profiles = flow.source(
    "profiles",
    kafkaSource({ bootstrapServers, topic: flow.parameter("profiles", "profiles"), format: json(Profile) }),
    { time: "since", watermarks },
  );
  clicks
    .keyBy("user")
    .joinTable(profiles.keyBy("user"), { uid: "with-region", rightPrefix: "profile_" })
    .select("profile_region")
    .rename({ region: "profile_region" })
    .keyBy("region")
    .window(tumbling("1 min"))
    .aggregate({ views: count() }, { uid: "per-region" })
    .to("views", kafkaSink({ bootstrapServers, topic: flow.parameter("output", "views"), format: json(Views), key: "region" }));
});
