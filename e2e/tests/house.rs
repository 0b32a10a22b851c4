//! Holds the tree to the rules of the house: arrows between crates, heads and sizes of files, words for strangers.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails like the test itself")]

use std::path::Path;
use std::process::Command;

use scrapering_e2e::house::{
    Metadata, Source, arrow_faults, machine_path_faults, readme_faults, rust_file_faults, tree_faults,
};

/// Deepest folder that is looked into: a link that leads back up must not turn a test into a walk without end.
const MAX_DEPTH: usize = 16;

fn top() -> &'static Path {
    Path::new("..")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(top()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every text file of the tree whose name ends like this.
fn sources(endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    walk(top(), endings, MAX_DEPTH, &mut found);
    found
}

fn walk(folder: &Path, endings: &[&str], depth: usize, found: &mut Vec<Source>) {
    if depth == 0 {
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            // What is built, downloaded or scraped is not the tree.
            if !matches!(name.as_str(), ".git" | "target" | ".scrapering" | "node_modules") {
                walk(&path, endings, depth - 1, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let path_in_tree = path.strip_prefix(top()).unwrap().to_string_lossy().into_owned();
            found.push(Source { path: path_in_tree, text: std::fs::read_to_string(&path).unwrap() });
        }
    }
}

fn assert_no_faults(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_rust_file_keeps_the_rules() {
    let files = sources(&[".rs"]);
    assert!(files.iter().any(|file| file.path == "e2e/tests/house.rs"), "the walk does not find this file");
    assert_no_faults(&files.iter().flat_map(rust_file_faults).collect::<Vec<_>>());
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let files = sources(&[
        ".rs", ".toml", ".md", ".yaml", ".yml", ".json", ".proto", ".sh", ".html", "Makefile", "run", "ignore",
    ]);
    assert!(files.iter().any(|file| file.path == ".ci/run"), "the walk does not find .ci/run");
    assert_no_faults(&files.iter().flat_map(machine_path_faults).collect::<Vec<_>>());
}

#[test]
fn arrows_between_crates_go_one_way() {
    let metadata: Metadata =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"])).unwrap();
    assert!(metadata.packages.len() >= 7, "the workspace has lost a crate");
    assert_no_faults(&arrow_faults(&metadata));
}

#[test]
fn the_node_is_built_without_kube() {
    let tree = cargo(&["tree", "-p", "scrapering", "-e", "normal", "--prefix", "none", "--offline"]);
    assert_no_faults(&tree_faults(&tree, &["kube", "kube-client", "kube-core", "k8s-openapi"]));
}

#[test]
fn there_is_one_tls_provider_in_the_whole_house() {
    let tree = cargo(&["tree", "--workspace", "-e", "normal", "--prefix", "none", "--offline"]);
    assert_no_faults(&tree_faults(&tree, &["ring", "openssl", "openssl-sys", "native-tls"]));
}

#[test]
fn the_readme_says_what_a_stranger_needs() {
    assert_no_faults(&readme_faults(&std::fs::read_to_string(top().join("README.md")).unwrap()));
}
