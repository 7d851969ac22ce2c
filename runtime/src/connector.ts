// (entry)
export {};
