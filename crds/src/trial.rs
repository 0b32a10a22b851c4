//! A specification tried on one page, without a job: the file of `scrapering extract`, the body of `POST /v1/extract:test` and `POST /v1/scrape`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::file::{self, JobFileError, ScrapeJobFile};
use crate::job::{ExtractSpec, FollowSpec};

/// Rules, and the page they are tried on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrialSpec {
    /// The page's address. It is fetched, unless `content` is given: then it is only what relative links are resolved against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2083))]
    pub url: Option<String>,
    /// The page itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// What `content` is; HTML without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub content_type: Option<String>,
    /// What is taken from the page, as in a job.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub extract: Vec<ExtractSpec>,
    /// Which links would be followed, as in a job; none without it.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub follow: Vec<FollowSpec>,
}

impl TrialSpec {
    /// Reads one document of YAML or JSON: the rules alone, or a whole job, of which the rules are taken.
    ///
    /// # Errors
    /// See [`JobFileError`]; only shape is judged here, not meaning.
    pub fn parse(text: &str) -> Result<Self, JobFileError> {
        let document = file::document(text)?;
        if document.get("kind").is_none() {
            return file::typed(document);
        }
        let job = ScrapeJobFile::parse(text)?.spec;
        Ok(Self { extract: job.extract, follow: job.follow, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_alone_and_out_of_a_job() {
        let rules = "extract: [{name: a, fields: [{name: b}]}]\nfollow: [{selector: i}]\n";
        let alone = TrialSpec::parse(rules).expect("rules");
        let indented: String = rules.lines().map(|line| format!("  {line}\n")).collect();
        let head = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: a}\nspec:\n  seeds: [{url: 'http://a.example/'}]\n";
        assert_eq!(TrialSpec::parse(&format!("{head}{indented}")).expect("a job"), alone);
        assert_eq!((alone.extract.len(), alone.follow.len()), (1, 1));
        for (text, path) in
            [("extrac: []", "extrac"), ("extract: [{name: a}]", "extract[0]"), ("kind: Job", "apiVersion")]
        {
            match TrialSpec::parse(text) {
                Err(JobFileError::Field { path: found, .. }) => assert_eq!(found, path, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
