// Pod templates laid over each other as `kubectl patch` does: objects merge, lists merge by the key that names their elements, null takes a field away.

/** By the name of a list, the field that tells its elements apart. Other lists of objects are replaced, and so are lists of plain values. */
const listKeys: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  volumes: "name",
  env: "name",
  envFrom: "",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
  ports: "containerPort",
  imagePullSecrets: "name",
  hostAliases: "ip",
  topologySpreadConstraints: "topologyKey",
  tolerations: "",
};

type Json = unknown;
type JsonObject = Readonly<Record<string, Json>>;

const isObject = (value: Json): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

/** `over` laid over `base`; neither is changed. */
export function strategicMerge(base: Json, over: Json, field = ""): Json {
  if (over === undefined) return base;
  if (isObject(base) && isObject(over)) {
    const merged: Record<string, Json> = { ...base };
    for (const [name, value] of Object.entries(over)) {
      if (value === null) delete merged[name];
      else merged[name] = strategicMerge(merged[name], value, name);
    }
    return merged;
  }
  if (Array.isArray(base) && Array.isArray(over)) return mergeLists(base, over, field);
  return over;
}

function mergeLists(base: readonly Json[], over: readonly Json[], field: string): readonly Json[] {
  const key = listKeys[field];
  if (key === undefined) return over;
  // Lists whose elements have no name of their own are put one after the other.
  if (key === "") return [...base, ...over];
  const merged = [...base];
  for (const element of over) {
    const name = isObject(element) ? element[key] : undefined;
    const at = name === undefined ? -1 : merged.findIndex((other) => isObject(other) && other[key] === name);
    if (isObject(element) && element["$patch"] === "delete") {
      if (at >= 0) merged.splice(at, 1);
    } else if (at >= 0) merged[at] = strategicMerge(merged[at], element);
    else merged.push(element);
  }
  return merged;
}
