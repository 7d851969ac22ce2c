// Sales per shop and minute, from files of JSON lines to the terminal.
import {
  boundedOutOfOrderness,
  consoleSink,
  count,
  files,
  int53,
  job,
  json,
  max,
  schema,
  string,
  sum,
  timestamp,
  tumbling,
} from "millrace";

const Sale = schema({ shop: string(), cents: int53(), at: timestamp({ text: "iso" }) });

export default job("sales", (flow) => {
  flow
    .source("sales", files({ path: flow.parameter("input"), format: json(Sale) }), {
      time: "at",
      watermarks: boundedOutOfOrderness("5 s"),
    })
    .filter((sale) => sale.cents > 0)
    .keyBy("shop")
    .window(tumbling("1 min"))
    .aggregate({ sales: count(), revenue: sum("cents"), largest: max("cents") }, { uid: "per-minute" })
    .to("terminal", consoleSink());
});
