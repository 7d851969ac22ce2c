// Rules of EmbeddedStreamApps.
import { brokers, image, parameters, positiveQuantity, resources, type Rule, secret, shortName, topic, url } from "./rule.ts";

export const embeddedStreamAppRules: readonly Rule[] = [
  shortName,
  { at: "spec.image", ...image },
  {
    at: "spec.applicationId",
    rule: "self.matches('^[a-zA-Z0-9][a-zA-Z0-9._-]*$')",
    message: "must be letters, digits, '.', '_' and '-': names of topics and of the consumer group are made from it",
  },
  {
    at: "spec.applicationId",
    rule: "self == oldSelf",
    messageExpression:
      "'is fixed for the life of the app, because another id has no state: put back ' + oldSelf + ', or make an app of another name'",
  },
  { at: "spec.kafka.brokers[]", ...brokers },
  { at: "spec.kafka.sasl.secret", ...secret },
  { at: "spec.kafka.tls.secret", ...secret },
  { at: "spec.topics[]", ...topic },
  ...parameters("spec.parameters"),
  {
    at: "spec.scaling",
    rule: "(has(self.minReplicas) ? self.minReplicas : 1) <= self.maxReplicas",
    message: "must not be above spec.scaling.maxReplicas; lower it, or raise the other",
    field: ".minReplicas",
  },
  {
    at: "spec",
    rule: "!has(self.update) || !has(self.update.mode) || self.update.mode != 'savepoint' || has(self.update.savepointStorage)",
    message: "needs spec.update.savepointStorage: give s3://bucket/prefix, or use mode: rolling",
    field: ".update",
  },
  { at: "spec.update.savepointStorage", ...url },
  { at: "spec.storage.size", ...positiveQuantity },
  {
    at: "spec.storage.size",
    rule: "!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0",
    messageExpression: "'cannot shrink a volume: put back ' + oldSelf + ' or more, or make an app of another name'",
  },
  { at: "spec.storage.storageClassName", ...secret },
  {
    at: "spec",
    rule: "has(self.storage) == has(oldSelf.storage)",
    message: "cannot be added or removed later; make an app of another name with the same spec.applicationId once this one is deleted",
    field: ".storage",
  },
  ...resources("spec.resources"),
];
