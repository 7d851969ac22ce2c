// Orders joined with payments, with the exchange rate of their time, and with customers; and the best customers so far.
import { boundedOutOfOrderness, consoleSink, float64, job, json, kafkaSource, schema, string, sum, timestamp } from "millrace";

const Order = schema({ order: string(), customer: string(), currency: string(), amount: float64(), at: timestamp() });
const Payment = schema({ order: string(), method: string(), paidAt: timestamp() });
const Rate = schema({ currency: string(), euros: float64(), at: timestamp() });
const Customer = schema({ customer: string(), country: string(), changed: timestamp() });

export default job("orders", (flow) => {
  const topic = <Row>(name: string, format: ReturnType<typeof json<Row>>) =>
    kafkaSource({ bootstrapServers: flow.parameter("brokers"), topic: name, format });
  const watermarks = boundedOutOfOrderness("5 s", { idleAfter: "30 s" });
  const orders = flow.source("orders", topic("orders", json(Order)), { time: "at", watermarks });
  const payments = flow.source("payments", topic("payments", json(Payment)), { time: "paidAt", watermarks });
  const rates = flow.source("rates", topic("rates", json(Rate)), { time: "at", watermarks });
  const customers = flow.source("customers", topic("customers", json(Customer)), { time: "changed", watermarks });

  // #region interval
  orders
    .keyBy("order")
    .joinInterval(payments.keyBy("order"), { uid: "paid", type: "left", lower: 0, upper: "15 min", rightPrefix: "payment_" })
    .select("order", "amount", "payment_method")
    .to("paid-out", consoleSink({ label: "paid" }));
  // #endregion

  // #region temporal
  const InEuros = schema({ customer: string(), euros: float64() });
  const inEuros = orders
    .keyBy("currency")
    .joinTable(rates.keyBy("currency"), { uid: "rated", rightPrefix: "rate_" })
    .map(InEuros, (row) => ({ customer: row.customer, euros: row.amount * row.rate_euros }));
  inEuros.to("euros-out", consoleSink({ label: "euros" }));
  // #endregion

  // #region lookup
  orders
    .keyBy("customer")
    .lookup(customers.keyBy("customer"), { uid: "located", type: "left", rightPrefix: "customer_" })
    .select("order", "customer_country")
    .to("located-out", consoleSink({ label: "located" }));
  // #endregion

  // #region reference
  orders
    .keyBy("order")
    .toTable({ uid: "orders-by-order" })
    .keyBy("customer")
    .joinReference(customers.keyBy("customer"), { uid: "countries", primary: ["order"], rightPrefix: "customer_" })
    .toStream({ kind: "change" })
    .select("change", "order", "customer_country")
    .to("countries-out", consoleSink({ label: "country" }));
  // #endregion

  // #region top
  inEuros
    .keyBy("customer")
    .aggregate({ euros: sum("euros") }, { uid: "per-customer" })
    .map(schema({ group: string(), customer: string(), euros: float64() }), (row) => ({ group: "all", ...row }))
    .keyBy("group")
    .topN(2, { uid: "best", orderBy: [{ field: "euros", descending: true }], rank: "place" })
    .to("best-out", consoleSink({ label: "best" }));
  // #endregion
});
