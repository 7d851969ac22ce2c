// Types of the reader that shares no code with the project.
export function crc32c(bytes: Uint8Array): number;
export function murmur3(bytes: Buffer): number;
export function readSnapshot(folder: string): {
  readonly manifest: { readonly operators: Readonly<Record<string, { readonly source?: { readonly splits: readonly unknown[] } }>> };
  readonly entries: readonly unknown[];
  readonly lists: readonly unknown[];
  readonly sinks: readonly unknown[];
};
