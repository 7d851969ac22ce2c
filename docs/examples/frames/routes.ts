// The busiest routes in SQL, kept up to date in a topic: every trigger writes the whole result anew.
import { int32, json, kafkaSink, kafkaSource, schema, string, timestamp } from "millrace";
import { frames } from "millrace/dataframe";

const Flight = schema({ scheduled: timestamp(), origin: string(), destination: string(), delay: int32(), distance: int32() });
const Route = schema({ route: string().nullable(), flights: int32() });

export default frames("routes", ({ session, parameter }) => {
  const bootstrapServers = parameter("brokers", "localhost:9092");
  // #region sql
  session.createView(
    "flights",
    session.readStream(kafkaSource({ bootstrapServers, topic: "flights", format: json(Flight) }), { name: "flights" }),
  );
  const routes = session.sql<{ route: string | null; flights: number }>(`
    SELECT origin || '-' || destination AS route, CAST(count(*) AS INTEGER) AS flights
    FROM flights
    WHERE delay < 60
    GROUP BY route
    ORDER BY flights DESC
    LIMIT 10`);
  // #endregion
  return routes.writeStream(kafkaSink({ bootstrapServers, topic: "routes", format: json(Route) }), {
    mode: "complete",
    trigger: { processingTime: "10 s" },
  });
});
