//! The rules that the API server holds a `ScrapeJob` to, beyond types and bounds.
//!
//! They say what the ring would say when it takes the job, only earlier. What needs a parser of selectors or a regex compiler,
//! and what lies deeper than the first level of fields (where the cost that a server estimates explodes), the ring alone judges.

use schemars::Schema;

use crate::schema::{Rule, add_rules, fix_all_but, without_null};

/// What may change while a job is there. Everything else is held fixed, also what is added later.
pub const MUTABLE: [&str; 4] = ["parallelism", "priority", "suspend", "ttlSecondsAfterFinished"];

/// Names become those of jobs in the ring.
#[cfg(feature = "kube")]
pub(super) const NAME: Rule = Rule {
    rule: "self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    message: "metadata.name must have at most 63 lower-case letters, digits and '-', with no '-' at either end",
    field: None,
};

const SPEC: [Rule; 2] = [
    Rule {
        rule: "has(self.politeness.robots.userAgentToken) || self.request.userAgent.matches('^[A-Za-z_-]')",
        message: "request.userAgent begins with no product token for robots.txt; begin it like examplebot/1.0, or set politeness.robots.userAgentToken",
        field: Some(".request"),
    },
    Rule {
        rule: "!has(self.politeness.robots.userAgentToken) || self.request.userAgent.lowerAscii().contains(self.politeness.robots.userAgentToken.lowerAscii())",
        message: "politeness.robots.userAgentToken does not occur in request.userAgent; sites must be able to recognise whom their rules address",
        field: Some(".politeness"),
    },
];

/// Headers that the node writes itself.
const HEADER: [Rule; 1] = [Rule {
    rule: "!(self.name.lowerAscii() in ['accept-encoding', 'connection', 'content-length', 'expect', 'host', 'http2-settings', 'keep-alive', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'user-agent'])",
    message: "is written by the node itself; the User-Agent is set by request.userAgent",
    field: Some(".name"),
}];

const HEADERS: [Rule; 1] = [Rule {
    rule: "self.all(header, self.exists_one(other, other.name.lowerAscii() == header.name.lowerAscii()))",
    message: "a header is set twice; write one entry",
    field: None,
}];

const POLITENESS: [Rule; 4] = [
    Rule { rule: "duration(self.delay) <= duration('24h')", message: "must be at most 24h", field: Some(".delay") },
    Rule {
        rule: "duration(self.delayPerIP) <= duration('24h')",
        message: "must be at most 24h",
        field: Some(".delayPerIP"),
    },
    Rule {
        rule: "!has(self.perHost) || self.perHost.all(rule, !has(rule.delay) || duration(rule.delay) >= duration(self.delay))",
        message: "has a delay shorter than politeness.delay; a host can only be visited more gently",
        field: Some(".perHost"),
    },
    Rule {
        rule: "!has(self.perHost) || self.perHost.all(rule, !has(rule.concurrentRequests) || rule.concurrentRequests <= self.concurrentRequestsPerHost)",
        message: "has concurrentRequests above politeness.concurrentRequestsPerHost; a host can only be visited more gently",
        field: Some(".perHost"),
    },
];

const HOST_RULE: [Rule; 2] = [
    Rule {
        rule: "has(self.delay) || has(self.concurrentRequests)",
        message: "changes nothing; give it a delay or concurrentRequests",
        field: None,
    },
    Rule {
        rule: "!has(self.delay) || duration(self.delay) <= duration('24h')",
        message: "must be at most 24h",
        field: Some(".delay"),
    },
];

const AUTO_THROTTLE: [Rule; 2] = [
    // A server holds an integer to a bound without its fraction, so that 0 would pass the schema's minimum.
    Rule {
        rule: "self.targetConcurrency >= 0.01",
        message: "must be from 0.01 to 64",
        field: Some(".targetConcurrency"),
    },
    Rule {
        rule: "duration(self.maxDelay) >= duration('1ms') && duration(self.maxDelay) <= duration('24h')",
        message: "must be from 1ms to 24h",
        field: Some(".maxDelay"),
    },
];

const BREAKER: [Rule; 1] = [Rule {
    rule: "duration(self.openFor) >= duration('1s') && duration(self.openFor) <= duration('24h')",
    message: "must be from 1s to 24h",
    field: Some(".openFor"),
}];

const SCOPE: [Rule; 1] = [Rule {
    rule: "self.scopeType != 'custom' || (has(self.include) && self.include.size() > 0)",
    message: "is empty; with scopeType custom it says which pages belong to the job",
    field: Some(".include"),
}];

const ROBOTS: [Rule; 2] = [
    Rule {
        rule: "duration(self.cacheTTL) >= duration('1m') && duration(self.cacheTTL) <= duration('24h')",
        message: "must be from 1m to 24h",
        field: Some(".cacheTTL"),
    },
    Rule {
        rule: "duration(self.maxCrawlDelay) <= duration('24h')",
        message: "must be at most 24h",
        field: Some(".maxCrawlDelay"),
    },
];

const TIMEOUTS: [Rule; 3] = [
    Rule {
        rule: "duration(self.connect) >= duration('100ms') && duration(self.connect) <= duration('10m')",
        message: "must be from 100ms to 10m",
        field: Some(".connect"),
    },
    Rule {
        rule: "duration(self.firstByte) >= duration('100ms') && duration(self.firstByte) <= duration('10m')",
        message: "must be from 100ms to 10m",
        field: Some(".firstByte"),
    },
    Rule {
        rule: "duration(self.total) >= duration('100ms') && duration(self.total) <= duration('10m')",
        message: "must be from 100ms to 10m",
        field: Some(".total"),
    },
];

const LIMITS: [Rule; 3] = [
    Rule {
        rule: "!has(self.maxDuration) || (duration(self.maxDuration) >= duration('1s') && duration(self.maxDuration) <= duration('87600h'))",
        message: "must be from 1s to 87600h",
        field: Some(".maxDuration"),
    },
    Rule {
        rule: "quantity(string(self.maxBodyBytes)).compareTo(quantity('1Ki')) >= 0 && quantity(string(self.maxBodyBytes)).compareTo(quantity('1Gi')) <= 0",
        message: "must be from 1Ki to 1Gi",
        field: Some(".maxBodyBytes"),
    },
    Rule {
        rule: "!has(self.maxBytes) || (quantity(string(self.maxBytes)).compareTo(quantity('1Ki')) >= 0 && quantity(string(self.maxBytes)).compareTo(quantity('999999Ti')) <= 0)",
        message: "must be from 1Ki to 999999Ti",
        field: Some(".maxBytes"),
    },
];

const ADAPTIVE: [Rule; 3] = [
    Rule {
        rule: "duration(self.min) >= duration('1s') && duration(self.min) <= duration('8760h')",
        message: "must be from 1s to 8760h",
        field: Some(".min"),
    },
    Rule {
        rule: "duration(self.max) >= duration('1s') && duration(self.max) <= duration('8760h')",
        message: "must be from 1s to 8760h",
        field: Some(".max"),
    },
    Rule {
        rule: "duration(self.min) <= duration(self.max) || duration(self.min) > duration('8760h') || duration(self.max) < duration('1s')",
        message: "is longer than max; shorten it or raise max",
        field: Some(".min"),
    },
];

const BACKOFF: [Rule; 2] = [
    Rule {
        rule: "duration(self.max) >= duration('1ms') && duration(self.max) <= duration('24h')",
        message: "must be from 1ms to 24h",
        field: Some(".max"),
    },
    Rule {
        rule: "duration(self.initial) <= duration(self.max)",
        message: "is longer than max; shorten it or raise max",
        field: Some(".initial"),
    },
];

const EXTRACT: [Rule; 5] = [
    Rule {
        rule: "!has(self.key) || self.key.all(name, self.fields.exists(field, field.name == name))",
        message: "names what is not one of the fields of the item",
        field: Some(".key"),
    },
    Rule {
        rule: "self.from == 'html' || self.fields.all(field, !has(field.attribute) && !(field.type in ['html', 'attribute']))",
        message: "reads an attribute or HTML, which only items from html have",
        field: Some(".fields"),
    },
    Rule {
        rule: "!has(self.baseXPath) || !has(self.baseSelector)",
        message: "cannot stand beside baseSelector; write one of them",
        field: Some(".baseXPath"),
    },
    Rule {
        rule: "!has(self.baseXPath) || self.from == 'html'",
        message: "is only for items from html",
        field: Some(".baseXPath"),
    },
    Rule {
        rule: "self.from == 'html' || self.fields.all(field, !has(field.xpath))",
        message: "has an xpath, which is only for items from html",
        field: Some(".fields"),
    },
];

/// One selector, in one of two languages.
const SELECTOR_OR_XPATH: Rule = Rule {
    rule: "!has(self.xpath) || !has(self.selector)",
    message: "cannot stand beside selector; write one of them",
    field: Some(".xpath"),
};

const FIELD: [Rule; 11] = [
    SELECTOR_OR_XPATH,
    Rule {
        rule: "(self.type != 'attribute' && !(has(self.of) && self.of == 'attribute')) || has(self.attribute)",
        message: "is missing; the type attribute needs the name of one, such as src",
        field: Some(".attribute"),
    },
    Rule {
        rule: "!has(self.attribute) || self.type in ['attribute', 'number', 'url', 'date', 'json', 'list']",
        message: "means nothing for this type; use the type attribute",
        field: Some(".attribute"),
    },
    Rule {
        rule: "!has(self.of) || self.type == 'list'",
        message: "is only for fields of type list",
        field: Some(".of"),
    },
    Rule {
        rule: "!has(self.fields) || self.fields.size() == 0 || (self.type in ['list', 'nested'] && !has(self.of))",
        message: "is only for fields of type list (without of) and nested",
        field: Some(".fields"),
    },
    Rule {
        rule: "self.type != 'nested' || (has(self.fields) && self.fields.size() > 0)",
        message: "is missing; a nested object needs at least one field",
        field: Some(".fields"),
    },
    Rule {
        rule: "!has(self.pattern) || (self.type != 'nested' && (!has(self.fields) || self.fields.size() == 0))",
        message: "means nothing for objects; put it into their fields",
        field: Some(".pattern"),
    },
    Rule {
        rule: "!has(self.transform) || self.transform.size() == 0 || (self.type != 'nested' && (!has(self.fields) || self.fields.size() == 0))",
        message: "means nothing for objects; put it into their fields",
        field: Some(".transform"),
    },
    Rule {
        rule: "!has(self.format) || self.type == 'date' || (has(self.of) && self.of == 'date')",
        message: "is only for the type date",
        field: Some(".format"),
    },
    Rule {
        rule: "!has(self.path) || self.type == 'json' || (has(self.of) && self.of == 'json')",
        message: "is only for the type json",
        field: Some(".path"),
    },
    Rule {
        rule: "!has(self.transform) || self.transform.all(step, (step.op in ['replace', 'regex'] ? has(step.find) : !has(step.find)) && (step.op in ['prefix', 'suffix'] ? has(step.with) : (step.op in ['replace', 'regex'] || !has(step.with))) && (step.op == 'split' ? has(step.separator) : (step.op == 'join' || !has(step.separator))))",
        message: "has a step without what it needs, or with what means nothing for it: replace and regex have find and with, prefix and suffix have with, split and join have separator",
        field: Some(".transform"),
    },
];

const WEBHOOK: [Rule; 1] = [Rule {
    rule: "!has(self.secret) || !has(self.secretRef)",
    message: "cannot stand beside secret; write one of them",
    field: Some(".secretRef"),
}];

const S3: [Rule; 2] = [
    Rule {
        rule: "has(self.credentialsRef) ? !has(self.accessKeyId) && !has(self.secretAccessKey) : has(self.accessKeyId) && has(self.secretAccessKey)",
        message: "needs accessKeyId and secretAccessKey, or credentialsRef alone",
        field: None,
    },
    COMPRESSION,
];

const GCS: [Rule; 2] = [
    Rule {
        rule: "has(self.credentialsRef) != has(self.serviceAccountKey)",
        message: "needs either serviceAccountKey or credentialsRef",
        field: None,
    },
    COMPRESSION,
];

const COMPRESSION: Rule = Rule {
    rule: "self.compression == 'none' || self.format in ['jsonl', 'csv']",
    message: "means nothing for this format, which is compressed anyway; leave it out",
    field: Some(".compression"),
};

pub(super) fn of_spec(schema: &mut Schema) {
    without_null(schema);
    add_rules(schema, &SPEC);
    fix_all_but(schema, &MUTABLE, "make a new job instead");
}

pub(super) fn of_politeness(schema: &mut Schema) {
    add_rules(schema, &POLITENESS);
}

pub(super) fn of_host_rule(schema: &mut Schema) {
    add_rules(schema, &HOST_RULE);
}

pub(super) fn of_auto_throttle(schema: &mut Schema) {
    add_rules(schema, &AUTO_THROTTLE);
}

pub(super) fn of_breaker(schema: &mut Schema) {
    add_rules(schema, &BREAKER);
}

pub(super) fn of_scope(schema: &mut Schema) {
    add_rules(schema, &SCOPE);
}

pub(super) fn of_robots(schema: &mut Schema) {
    add_rules(schema, &ROBOTS);
}

pub(super) fn of_timeouts(schema: &mut Schema) {
    add_rules(schema, &TIMEOUTS);
}

pub(super) fn of_limits(schema: &mut Schema) {
    add_rules(schema, &LIMITS);
}

pub(super) fn of_adaptive(schema: &mut Schema) {
    add_rules(schema, &ADAPTIVE);
}

pub(super) fn of_header(schema: &mut Schema) {
    add_rules(schema, &HEADER);
}

pub(super) fn of_headers(schema: &mut Schema) {
    add_rules(schema, &HEADERS);
}

pub(super) fn of_backoff(schema: &mut Schema) {
    add_rules(schema, &BACKOFF);
}

pub(super) fn of_s3(schema: &mut Schema) {
    add_rules(schema, &S3);
}

pub(super) fn of_gcs(schema: &mut Schema) {
    add_rules(schema, &GCS);
}

pub(super) fn of_webhook(schema: &mut Schema) {
    add_rules(schema, &WEBHOOK);
}

pub(super) fn of_follow(schema: &mut Schema) {
    add_rules(schema, &[SELECTOR_OR_XPATH]);
}

pub(super) fn of_extract(schema: &mut Schema) {
    add_rules(schema, &EXTRACT);
}

/// The first level of fields only: deeper, 128 times as many fields a level would exceed what a server spends on rules.
pub(super) fn of_fields(schema: &mut Schema) {
    add_rules(schema, &FIELD);
}
