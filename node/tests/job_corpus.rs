//! The corpus of job files: every good one runs, every bad one is refused with the path in its first line.

use std::fs;
use std::path::{Path, PathBuf};

use scrapering::job::load;

// Tests run in the folder of their package. A path that is compiled in would be that of whichever checkout was last
// built into a target folder that several share.
fn examples() -> PathBuf {
    PathBuf::from("../examples")
}

fn jobs_in(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder exists")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(&path).expect("a readable file"))).collect()
}

#[test]
fn every_good_job_is_accepted() {
    let good = jobs_in(&examples().join("corpus/good"));
    assert!(good.len() >= 10, "the corpus has only {} good jobs", good.len());
    for (path, text) in good.into_iter().chain(jobs_in(&examples())) {
        if let Err(error) = load(&text) {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn every_bad_job_is_refused_at_the_field_it_names() {
    let bad = jobs_in(&examples().join("corpus/bad"));
    assert!(bad.len() >= 25, "the corpus has only {} bad jobs", bad.len());
    let mut wrong = Vec::new();
    for (path, text) in bad {
        let expected =
            text.lines().next().and_then(|line| line.strip_prefix("# path: ")).expect("a first line with the path");
        match load(&text) {
            Ok(_) => wrong.push(format!("{}: accepted", path.display())),
            Err(error) => {
                let found = error.field_errors();
                if found.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>() != [expected] {
                    wrong.push(format!("{}: expected {expected}, found {found:?}", path.display()));
                }
                if found.iter().any(|fault| fault.message.len() < 8 || fault.message.len() > 400) {
                    wrong.push(format!("{}: not a helpful message: {found:?}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_faults_of_a_job_are_told_at_once_in_the_order_of_its_fields() {
    let text = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: A}\nspec:\n  seeds: [{url: 'x'}]\n  \
                follow: [{selector: '['}]\n  retry: {maxRetries: 99}\n";
    let faults = load(text).expect_err("four faults").field_errors();
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["metadata.name", "spec.seeds[0].url", "spec.follow[0].selector", "spec.retry.maxRetries"]);
}

#[test]
fn a_loaded_job_carries_what_was_written_and_the_defaults() {
    let text = fs::read_to_string(examples().join("corpus/good/every-field.yaml")).expect("a readable file");
    let job = load(&text).expect("a good job").job;
    assert_eq!((job.name.as_str(), job.seeds.len(), job.follow.len()), ("every-field", 2, 2));
    assert_eq!(job.politeness.user_agent_token, "examplebot");
    assert_eq!(job.politeness.delay.as_millis(), 1_500);
    assert_eq!(job.request.headers[0], ("accept-language".to_owned(), "en".to_owned()));
    assert_eq!((job.limits.max_body_bytes, job.retry.max_backoff.as_secs()), (5 << 20, 300));

    let text = fs::read_to_string(examples().join("corpus/good/repeated-seeds.yaml")).expect("a readable file");
    let job = load(&text).expect("a good job").job;
    assert_eq!(job.seeds.len(), 1, "two spellings of one URL are one seed");
    assert_eq!((job.scope.max_depth, job.politeness.user_agent_token.as_str()), (u32::MAX, "scrapering"));
}
