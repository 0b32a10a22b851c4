//! The rule that the API server holds a `ScrapeSchedule` to, beyond types, bounds and the rules of its jobs.

use crate::schema::Rule;

/// Eleven characters are added to make the name of a job, as CronJob does.
pub(super) const NAME: Rule = Rule {
    rule: "self.metadata.name.size() <= 52 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    message: "metadata.name must have at most 52 lower-case letters, digits and '-', with no '-' at either end",
    field: None,
};
