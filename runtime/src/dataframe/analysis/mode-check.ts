// What a streaming query cannot do in its output mode, found when it is analysed and said with the reason.
import { MillraceError } from "../../base/errors.ts";
import type { OutputMode } from "../../operators/frame/frame-aggregate.ts";
import { type Plan, planInputs, planNodes } from "./plan.ts";

/** Throws DATAFRAME_UNSUPPORTED for an operation that no stream can do in `mode`. */
export function checkMode(plan: Plan, mode: OutputMode): void {
  if (!plan.streaming) throw unsupported("writeStream", "no input of the query is a stream", "read one with readStream, or use write");
  const nodes = planNodes(plan).filter((node) => node.streaming);
  const aggregates = nodes.filter((node) => node.kind === "aggregate");
  if (mode === "complete" && aggregates.length === 0) {
    throw unsupported(
      "complete mode",
      "without an aggregate the whole result is the whole input, and nobody could keep it",
      "use append mode",
    );
  }
  if (mode !== "append" && aggregates.length > 1) {
    throw unsupported(
      `an aggregate of an aggregate in ${mode} mode`,
      "the inner one changes results that the outer one has counted",
      "use append mode, where each result is given once",
    );
  }
  for (const node of nodes) checkNode(node, mode);
  if (mode !== "complete") return;
  // Rows are kept for ever in complete mode, so what comes before the aggregate must not forget any.
  for (const node of nodes) {
    if (node.kind === "dedupe" && planNodes(node.input).some((input) => input.kind === "aggregate"))
      throw unsupported("dropDuplicates after an aggregate", "its results change from batch to batch", "drop duplicates before");
  }
}

function checkNode(node: Plan, mode: OutputMode): void {
  switch (node.kind) {
    case "aggregate":
      if (mode === "append" && !node.bounded) {
        throw unsupported(
          "an aggregate in append mode",
          "no watermark says when a group is complete, so no result could ever be given",
          "call withWatermark on the time column before grouping by a window of it, or use update or complete mode",
        );
      }
      if (node.session !== undefined && mode !== "append")
        throw unsupported(
          `a session window in ${mode} mode`,
          "sessions that merge would take back results that were given",
          "use append mode",
        );
      return;
    case "sort":
      if (mode !== "complete" || !hasAggregate(node.input)) {
        throw unsupported(
          "orderBy on a stream",
          "an order over rows that are still to come is not known",
          "sort the result of an aggregate in complete mode",
        );
      }
      return;
    case "limit":
      if (mode !== "complete" || !hasAggregate(node.input))
        throw unsupported(
          "limit on a stream",
          "the first rows of a result that grows are not known",
          "limit the result of an aggregate in complete mode",
        );
      return;
    case "union":
      if (node.inputs.some((input) => !input.streaming))
        throw unsupported("a union of a stream and a batch", "the batch would be read again with every trigger", "read both as streams");
      return;
    case "dedupe":
      checkDedupe(node, mode);
      return;
    case "join":
      checkJoin(node, mode);
      return;
    case "transform":
      if (mode === "complete")
        throw unsupported("transformWithState in complete mode", "its rows are given once and kept nowhere", "use append or update mode");
      return;
    case "scan":
    case "project":
    case "udf":
    case "filter":
    case "watermark":
    case "explode":
      return;
  }
}

function hasAggregate(node: Plan): boolean {
  return node.kind === "aggregate" || planInputs(node).some(hasAggregate);
}

function checkDedupe(node: Extract<Plan, { kind: "dedupe" }>, mode: OutputMode): void {
  if (node.withinWatermark && node.input.times.size === 0)
    throw unsupported("dropDuplicatesWithinWatermark", "the input has no watermark", "call withWatermark before");
  if (mode === "update" && hasAggregate(node.input))
    throw unsupported(
      "dropDuplicates after an aggregate in update mode",
      "its results change from batch to batch",
      "drop duplicates before",
    );
}

function checkJoin(node: Extract<Plan, { kind: "join" }>, mode: OutputMode): void {
  const { left, right, type, condition } = node;
  if (left.streaming && right.streaming) {
    if (mode !== "append")
      throw unsupported(`a join of two streams in ${mode} mode`, "pairs are found once, when their later row comes", "use append mode");
    if (condition.equal.length === 0)
      throw unsupported(
        "a join of two streams without an equality",
        "every row would have to be kept and compared with every other",
        "join by a column",
      );
    if (type === "inner") return;
    const { timeBound } = condition;
    const oneSided =
      timeBound !== undefined &&
      (type === "full"
        ? Number.isFinite(timeBound.lowerMs) && Number.isFinite(timeBound.upperMs)
        : type === "right"
          ? Number.isFinite(timeBound.lowerMs)
          : Number.isFinite(timeBound.upperMs));
    if (!oneSided) {
      throw unsupported(
        `a ${type} join of two streams without a bound in time`,
        type === "semi" ? "a row would wait for its partner for ever" : "it is never known that a row has no partner",
        "call withWatermark on both sides and add a condition such as right.time between left.time and left.time + 1 hour",
      );
    }
    return;
  }
  const kept = left.streaming ? ["inner", "left", "semi", "anti"] : ["inner", "right"];
  if (!kept.includes(type)) {
    throw unsupported(
      `a ${type} join of a ${left.streaming ? "stream with a batch" : "batch with a stream"}`,
      "whether a row of the batch has no partner is never known",
      `use ${kept.join(" or ")}`,
    );
  }
}

function unsupported(what: string, why: string, next: string): MillraceError {
  return new MillraceError("DATAFRAME_UNSUPPORTED", what, `is not possible: ${why}`, next);
}
