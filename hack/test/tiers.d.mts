// The types of tiers.mjs, for the tests that every test file is in a tier and every tier in a lane that runs.
export declare const LANES: readonly string[];
export declare const tiers: readonly {
  readonly name: string;
  readonly lane?: string;
  readonly needs?: readonly string[];
  readonly steps: readonly (readonly string[])[];
}[];
