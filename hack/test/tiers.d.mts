// The types of tiers.mjs, for the test that every test file is in a tier.
export declare const tiers: readonly { readonly name: string; readonly steps: readonly (readonly string[])[] }[];
