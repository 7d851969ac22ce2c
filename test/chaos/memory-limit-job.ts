// A job whose state is larger than its container: every key comes twice, far apart, and carries a long text.
import { files, filesSink, int53, job, json, schema, state, string } from "millrace";

const Block = schema({ from: int53(), keys: int53() });
const Key = schema({ id: int53() });
const kept = schema({ times: int53(), note: string() });

/** Differs from key to key: a store that compresses must not make it small. */
function noteOf(id: number, length: number): string {
  let note = "";
  for (let word = id + 1; note.length < length; ) {
    word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) + note.length;
    note += (word >>> 0).toString(36);
  }
  return note;
}

export default job("seen-twice", (flow) => {
  const noteLength = Number(flow.parameter("noteLength"));
  flow
    .source("blocks", files({ path: flow.parameter("input"), format: json(Block) }))
    .flatMap(Key, (block, emit) => {
      for (let k = 0; k < block.keys; k++) emit({ id: block.from + k });
    })
    .keyBy("id")
    .process(
      {
        onRow({ id }, context) {
          const note = noteOf(id, noteLength);
          const before = context.state.kept.get();
          if (before !== undefined && before.note !== note) throw new Error(`key ${id} has the text of another one`);
          context.state.kept.set({ times: (before?.times ?? 0) + 1, note });
          if (before?.times === 1) context.emit({ id });
        },
      },
      { uid: "seen", output: Key, state: { kept: state.value(kept) } },
    )
    .to("results", filesSink({ path: flow.parameter("output"), format: json() }));
});
