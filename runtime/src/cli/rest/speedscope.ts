// A CPU profile as a flame graph: from V8's tree of calls to the file format of speedscope, which opens in a browser.

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    /** From 0. */
    readonly lineNumber: number;
    readonly columnNumber: number;
  };
  readonly children?: readonly number[];
}

/** What the inspector gives (.cpuprofile); times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  readonly samples?: readonly number[];
  readonly timeDeltas?: readonly number[];
}

export interface SpeedscopeFile {
  readonly $schema: "https://www.speedscope.app/file-format-schema.json";
  readonly name: string;
  readonly exporter: "millrace";
  readonly shared: { readonly frames: readonly SpeedscopeFrame[] };
  readonly profiles: readonly [
    {
      readonly type: "sampled";
      readonly name: string;
      readonly unit: "microseconds";
      readonly startValue: number;
      readonly endValue: number;
      /** One stack per sample, outermost call first, as numbers of frames. */
      readonly samples: readonly (readonly number[])[];
      readonly weights: readonly number[];
    },
  ];
}

interface SpeedscopeFrame {
  readonly name: string;
  readonly file?: string;
  readonly line?: number;
  readonly col?: number;
}

/** Samples in which the thread did nothing are left out: what is idle is no part of a flame. */
const idle: ReadonlySet<string> = new Set(["(idle)", "(program)"]);

export function speedscopeOf(profile: CpuProfile, name: string): SpeedscopeFile {
  const { nodes, samples = [], timeDeltas = [] } = profile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const frames: SpeedscopeFrame[] = [];
  const frameNumbers = new Map<string, number>();
  const numberOf = ({ callFrame }: ProfileNode): number => {
    const { functionName, url, lineNumber, columnNumber } = callFrame;
    const key = `${functionName} ${url} ${lineNumber} ${columnNumber}`;
    let number = frameNumbers.get(key);
    if (number === undefined) {
      number = frames.length;
      frameNumbers.set(key, number);
      const place = url === "" ? {} : { file: url, line: lineNumber + 1, col: columnNumber + 1 };
      frames.push({ name: functionName === "" ? "(anonymous)" : functionName, ...place });
    }
    return number;
  };
  const stacks = new Map<number, readonly number[]>();
  const stackOf = (id: number): readonly number[] => {
    const node = byId.get(id);
    if (node === undefined) return [];
    let stack = stacks.get(id);
    if (stack === undefined) {
      const parent = parents.get(id);
      // The root of the tree is no call.
      stack = parent === undefined ? [] : [...stackOf(parent), numberOf(node)];
      stacks.set(id, stack);
    }
    return stack;
  };
  const taken: (readonly number[])[] = [];
  const weights: number[] = [];
  for (const [index, id] of samples.entries()) {
    // A sample holds until the next one.
    const weight = Math.max(0, timeDeltas[index + 1] ?? 0);
    if (weight === 0 || idle.has(byId.get(id)?.callFrame.functionName ?? "")) continue;
    taken.push(stackOf(id));
    weights.push(weight);
  }
  const endValue = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    $schema: "https://www.speedscope.app/file-format-schema.json",
    name,
    exporter: "millrace",
    shared: { frames },
    profiles: [{ type: "sampled", name, unit: "microseconds", startValue: 0, endValue, samples: taken, weights }],
  };
}
