// Versions of the parts of the real cluster, known to work together.

export const KUBERNETES_VERSION = "1.34.4";
/** A module of its own: it does not build beside client-go of another minor version. */
export const COREDNS_VERSION = "1.13.1";
export const HELM_VERSION = "3.19.0";
export const KIND_VERSION = "0.30.0";
export const KIND_NODE_IMAGE = "kindest/node:v1.34.0";
