//! The rules that the API server holds a `ScrapeRing` to, beyond types and bounds.
//!
//! A rule that compares with the object before must hold up against every value that could be stored: if it failed
//! there, the object could never be changed again, not even to mend it.

use schemars::Schema;

use crate::schema::{Rule, add_rules, bounded, without_null};

/// Longest name of a ring: what is derived from it has to fit the 63 characters of a DNS label.
pub(super) const NAME: Rule = Rule {
    rule: "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message: "metadata.name must have at most 40 lower-case letters, digits and '-', and begin with a letter",
    field: None,
};

const SPEC: [Rule; 1] = [Rule {
    rule: "self.replicas >= oldSelf.replicas || self.replicas >= 3",
    message: "a ring does not shrink below three nodes: fewer cannot keep what it holds",
    field: Some(".replicas"),
}];

const STORAGE: [Rule; 2] = [
    Rule {
        rule: "!isQuantity(oldSelf.size) || !isQuantity(self.size) || !quantity(self.size).isLessThan(quantity(oldSelf.size))",
        message: "a volume cannot shrink; ask for the same size or more",
        field: Some(".size"),
    },
    Rule {
        rule: "has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
        message: "cannot be changed; make a new ring and move the data",
        field: Some(".storageClassName"),
    },
];

const SCALE_IN: [Rule; 1] = [Rule {
    rule: "duration(self.timeout) >= duration('1m') && duration(self.timeout) <= duration('168h')",
    message: "must be from 1m to 168h",
    field: Some(".timeout"),
}];

const TLS: [Rule; 3] = [
    Rule {
        rule: "duration(self.leafDuration) >= duration('1m') && duration(self.leafDuration) <= duration('8760h')",
        message: "must be from 1m to 8760h",
        field: Some(".leafDuration"),
    },
    Rule {
        rule: "self.source != 'CertManager' || duration(self.leafDuration) >= duration('1h')",
        message: "must be at least 1h with the source CertManager, which issues nothing shorter",
        field: Some(".leafDuration"),
    },
    Rule {
        rule: "(self.source == 'CertManager') == has(self.issuerRef)",
        message: "is needed with the source CertManager, and means nothing with another",
        field: Some(".issuerRef"),
    },
];

const CIDRS: [Rule; 1] = [Rule {
    rule: "self.all(network, isCIDR(network))",
    message: "must be networks such as 10.20.0.0/16 or fd00::/8",
    field: None,
}];

const POD_LABELS: [Rule; 1] = [Rule {
    rule: "self.all(key, !key.startsWith('app.kubernetes.io/'))",
    message: "labels that begin with app.kubernetes.io/ are set by the operator",
    field: None,
}];

pub(super) fn of_spec(schema: &mut Schema) {
    without_null(schema);
    add_rules(schema, &SPEC);
}

pub(super) fn of_storage(schema: &mut Schema) {
    add_rules(schema, &STORAGE);
}

pub(super) fn of_scale_in(schema: &mut Schema) {
    add_rules(schema, &SCALE_IN);
}

pub(super) fn of_tls(schema: &mut Schema) {
    add_rules(schema, &TLS);
}

pub(super) fn of_cidrs(schema: &mut Schema) {
    add_rules(schema, &CIDRS);
}

pub(super) fn of_pod_labels(schema: &mut Schema) {
    bounded(schema);
    add_rules(schema, &POD_LABELS);
}
