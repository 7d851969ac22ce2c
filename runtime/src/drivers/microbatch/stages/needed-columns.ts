// Which columns of each node a plan reads: only those are decoded, loaded and handed on.
import { columnsRead } from "../../../dataframe/expression/expr.ts";
import { type Plan } from "../../../dataframe/analysis/plan.ts";

/** By node, the names of its columns that are needed, when `plan` must give all of its own. */
export function neededColumns(plan: Plan): ReadonlyMap<Plan, ReadonlySet<string>> {
  const needed = new Map<Plan, Set<string>>();
  const visit = (node: Plan, wanted: ReadonlySet<string>): void => {
    // A node may be read in several places.
    const names = needed.get(node) ?? new Set<string>();
    for (const name of wanted) names.add(name);
    needed.set(node, names);
    const more = (...expressions: readonly Parameters<typeof columnsRead>[0][]): Set<string> => {
      const all = new Set(names);
      for (const expr of expressions) columnsRead(expr, all);
      return all;
    };
    switch (node.kind) {
      case "scan":
        return;
      case "project": {
        const used = node.columns.filter(({ name }) => names.has(name));
        const read = new Set<string>();
        for (const { expr } of used) columnsRead(expr, read);
        return visit(node.input, read);
      }
      // Functions and operators get their input's rows whole.
      case "udf":
        return visit(node.input, allOf(node.input));
      case "filter":
        return visit(node.input, more(node.condition));
      case "watermark":
        return visit(node.input, new Set([...names, node.column]));
      case "aggregate": {
        const read = new Set<string>();
        for (const { expr } of node.prepared.columns) columnsRead(expr, read);
        for (const time of [node.window?.time, node.session?.time, node.timeKey?.expr]) if (time !== undefined) columnsRead(time, read);
        return visit(node.input, read);
      }
      case "join": {
        const { left, right, condition, using } = node;
        if (left.streaming && right.streaming) {
          visit(left, allOf(left));
          return visit(right, allOf(right));
        }
        const ofLeft = new Set(using);
        const ofRight = new Set(using);
        for (const { left: l, right: r } of condition.equal) {
          columnsRead(l, ofLeft);
          columnsRead(r, ofRight);
        }
        if (condition.timeBound !== undefined) {
          ofLeft.add(condition.timeBound.leftTime);
          ofRight.add(condition.timeBound.rightTime);
        }
        const others = new Set([...names, ...(condition.rest === undefined ? [] : columnsRead(condition.rest))]);
        for (const name of others) {
          if (left.schema.find(name) !== undefined) ofLeft.add(name);
          if (right.schema.find(name) !== undefined) ofRight.add(name);
        }
        visit(left, ofLeft);
        return visit(right, ofRight);
      }
      case "transform":
        return visit(node.input, allOf(node.input));
      case "union":
        for (const input of node.inputs) visit(input, names);
        return;
      case "dedupe":
        return visit(node.input, node.streaming ? allOf(node.input) : new Set([...names, ...node.columns]));
      case "sort":
        return visit(node.input, more(...node.keys.map(({ expr }) => expr)));
      case "limit":
        return visit(node.input, names);
      case "explode":
        return visit(node.input, new Set([...more(node.list)].filter((name) => name !== node.as || columnsRead(node.list).has(name))));
    }
  };
  visit(plan, allOf(plan));
  return needed;
}

function allOf(plan: Plan): ReadonlySet<string> {
  return new Set(plan.schema.fields.map(({ name }) => name));
}
