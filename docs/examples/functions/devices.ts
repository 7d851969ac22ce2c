// Functions over devices' heartbeats: silence noticed by a timer, owners asked for asynchronously, rules changed while the job runs.
import {
  boundedOutOfOrderness,
  consoleSink,
  float64,
  int32,
  job,
  json,
  kafkaSource,
  monotonic,
  schema,
  state,
  string,
  timestamp,
} from "millrace";

const Beat = schema({ device: string(), battery: float64(), at: timestamp() });
const Rule = schema({ name: string(), below: float64().nullable(), at: timestamp() });

// #region ask
const Owned = schema({ device: string(), owner: string() });

/** Stands for a call of another service. */
async function ownerOf(device: string, _signal: AbortSignal): Promise<string> {
  return await Promise.resolve(`owner-of-${device}`);
}
// #endregion

export default job("devices", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  const beats = flow.source("beats", kafkaSource({ bootstrapServers, topic: "beats", format: json(Beat) }), {
    time: "at",
    watermarks: boundedOutOfOrderness("5 s"),
  });

  // #region process
  const Silence = schema({ device: string(), since: timestamp(), beats: int32() });
  const silences = beats.keyBy("device").process(
    {
      onRow(beat, { state: { last, seen }, timers }) {
        const before = last.get() ?? Number.NEGATIVE_INFINITY;
        seen.set((seen.get() ?? 0) + 1);
        if (beat.at <= before) return;
        if (before !== Number.NEGATIVE_INFINITY) timers.cancelEventTime(before + 60_000);
        last.set(beat.at);
        timers.onEventTime(beat.at + 60_000);
      },
      onTimer({ timeMs }, context) {
        const { last, seen } = context.state;
        context.emit({ device: context.key.device, since: timeMs - 60_000, beats: seen.get() ?? 0 });
        last.clear();
        seen.clear();
      },
    },
    { uid: "silence", output: Silence, state: { last: state.value(timestamp()), seen: state.value(int32()) } },
  );
  silences.to("silences", consoleSink({ label: "silent" }));
  // #endregion

  // #region async
  silences
    .asyncMap(Owned, async ({ device }, { signal }) => ({ device, owner: await ownerOf(device, signal) }), {
      uid: "owners",
      capacity: 50,
      timeout: "5 s",
      retry: { retries: 3 },
      onFailure: "dead-letter",
    })
    .to("owners-out", consoleSink({ label: "owner" }));
  // #endregion

  // #region broadcast
  const rules = flow.source("rules", kafkaSource({ bootstrapServers, topic: "rules", format: json(Rule) }), {
    time: "at",
    watermarks: monotonic({ idleAfter: "1 s" }),
  });
  const Warning = schema({ rule: string(), device: string(), battery: float64() });
  beats
    .broadcast(
      rules,
      {
        onRow(beat, context, { limits }) {
          for (const [rule, below] of limits.entries())
            if (beat.battery < below) context.emit({ rule, device: beat.device, battery: beat.battery });
        },
        onBroadcast({ name, below }, { limits }) {
          if (below === null) limits.delete(name);
          else limits.set(name, below);
        },
      },
      { uid: "warnings", output: Warning, maps: { limits: state.map(string(), float64()) } },
    )
    .to("warnings-out", consoleSink({ label: "warning" }));
  // #endregion
});
