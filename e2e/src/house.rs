//! The rules of the house: what a file must look like, and which crate may know which.
//!
//! Plain functions from text to faults, so that each can be shown to fail; `tests/house.rs` reads the real tree through them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Most lines that a Rust file may have.
pub const MAX_LINES: usize = 800;

/// Whom each crate may depend on, among the crates of this workspace. A crate that is not listed knows nobody.
const ARROWS: [(&str, &[&str]); 4] = [
    ("scrapering", &["scrapering-core", "scrapering-crds", "scrapering-proto"]),
    ("scrapering-sim", &["scrapering-core"]),
    ("scrapering-operator", &["scrapering-crds", "scrapering-proto"]),
    // The simulator for its checkers: histories of real processes are held to the same model as simulated ones.
    ("scrapering-e2e", &["scrapering-crds", "scrapering-proto", "scrapering-sim"]),
];

/// Crates that bring I/O, a clock, dice or `async`: none of them may be a dependency of the core.
const IMPURE_CRATES: [&str; 9] = ["tokio", "futures", "rand", "reqwest", "hyper", "axum", "tonic", "rocksdb", "jiff"];

/// Words that bring I/O, a clock, dice, `async` or an unseen order into the core.
const IMPURE_WORDS: [&str; 9] =
    ["std::fs", "std::net", "std::thread", "Instant::now", "SystemTime", "async fn", ".await", "HashMap", "HashSet"];

/// A file of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it stands, from the top of the tree, with `/` between folders.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// The part of `cargo metadata` that the arrows are read from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// The crates of the workspace.
    pub packages: Vec<Package>,
}

/// One crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it depends on, for any purpose and on any platform.
    pub dependencies: Vec<Dependency>,
    /// Its features; the list of `default` is what everybody gets.
    #[serde(default)]
    pub features: BTreeMap<String, Vec<String>>,
}

/// One dependency of a crate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Dependency {
    /// The other crate's name.
    pub name: String,
    /// The features that are switched on by name.
    #[serde(default)]
    pub features: Vec<String>,
    /// `dev` or `build`; absent for a normal dependency.
    pub kind: Option<String>,
}

/// What is wrong with a Rust file.
pub fn rust_file_faults(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut faults = Vec::new();
    if !source.text.starts_with("//! ") {
        faults.push(format!("{path} does not open with `//!`: say in one sentence what the file is"));
    }
    let lines = source.text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{path} has {lines} lines, {MAX_LINES} are the most: split it by concept"));
    }
    if path.ends_with("/mod.rs") {
        faults.push(format!("{path}: name the file after its module, beside the folder"));
    }
    // Put together here, so that this file does not find itself.
    let placeholders =
        [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("// TO", "DO"), concat!("// FIX", "ME")];
    for placeholder in placeholders.iter().filter(|&&placeholder| source.text.contains(placeholder)) {
        faults.push(format!("{path} holds the placeholder `{placeholder}`: write it or leave it out"));
    }
    if path.contains("/tests/") {
        faults.extend(test_file_faults(source));
    }
    if path.starts_with("node/core/src/") {
        faults.extend(core_file_faults(source));
    }
    faults
}

fn test_file_faults(source: &Source) -> Vec<String> {
    [concat!("thread::", "sleep"), concat!("#[ign", "ore]")]
        .iter()
        .filter(|&&word| source.text.contains(word))
        .map(|word| {
            format!("{}: `{word}` in a test: wait on a condition, and give a reason for what is left out", source.path)
        })
        .collect()
}

fn core_file_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in IMPURE_WORDS.iter().filter(|&&word| line.contains(word)) {
            let place = format!("{}:{}", source.path, index + 1);
            faults.push(format!("{place}: `{word}` in the core, which has no I/O, clock, dice, async or unseen order"));
        }
    }
    faults
}

/// Paths of somebody's machine in a file that strangers read.
pub fn machine_path_faults(source: &Source) -> Vec<String> {
    let words = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("../sha", "red"),
        // Compiled in: that of whichever checkout was last built into a target folder that several share.
        concat!("env!(\"CARGO_MANIF", "EST_DIR\")"),
    ];
    let mut faults = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for word in words.iter().filter(|&&word| line.contains(word)) {
            faults.push(format!("{}:{}: `{word}` is a path of one machine", source.path, index + 1));
        }
    }
    faults
}

/// Arrows between crates that point the wrong way, and what the pure crates must not know.
pub fn arrow_faults(metadata: &Metadata) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let targets = allowed.get(package.name.as_str()).copied().unwrap_or_default();
        for dependency in &package.dependencies {
            let (from, to) = (package.name.as_str(), dependency.name.as_str());
            let ours = metadata.packages.iter().any(|other| other.name == to);
            if ours && to != from && !targets.contains(&to) {
                faults.push(format!("{from} -> {to} is not one of the arrows of the house"));
            }
            if from == "scrapering-core" && dependency.kind.is_none() && IMPURE_CRATES.contains(&to) {
                faults.push(format!("{from} -> {to}: the core has no I/O, clock, dice or async"));
            }
            if from == "scrapering" && (to == "kube" || dependency.features.iter().any(|feature| feature == "kube")) {
                faults.push(format!("{from} -> {to}: the node never sees kube"));
            }
        }
        let default = package.features.get("default").map_or(&[][..], Vec::as_slice);
        if package.name == "scrapering-crds" && default.iter().any(|feature| feature == "kube") {
            faults.push("scrapering-crds switches `kube` on by default, and the node would get it".to_owned());
        }
    }
    faults
}

/// Crates that must not be in a tree, read from `cargo tree --prefix none`: one crate a line, its name first.
pub fn tree_faults(tree: &str, banned: &[&str]) -> Vec<String> {
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .filter(|name| banned.contains(name))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|name| format!("{name} is in the tree")).collect()
}

/// What a stranger must find in the README.
pub fn readme_faults(text: &str) -> Vec<String> {
    ["make run", "make test", "Architecture invariants", "CHANGELOG.md"]
        .iter()
        .filter(|&&word| !text.contains(word))
        .map(|word| format!("README.md does not name `{word}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    fn dependency(name: &str) -> Dependency {
        Dependency { name: name.to_owned(), features: Vec::new(), kind: None }
    }

    fn package(name: &str, dependencies: Vec<Dependency>) -> Package {
        Package { name: name.to_owned(), dependencies, features: BTreeMap::new() }
    }

    fn house() -> Metadata {
        Metadata {
            packages: vec![
                package("scrapering-core", vec![dependency("sha1")]),
                package("scrapering-proto", vec![dependency("prost")]),
                package("scrapering-crds", vec![dependency("kube")]),
                package("scrapering-sim", vec![dependency("scrapering-core")]),
                package(
                    "scrapering",
                    vec![dependency("scrapering-core"), dependency("scrapering-crds"), dependency("scrapering-proto")],
                ),
                package("scrapering-operator", vec![dependency("scrapering-crds"), dependency("kube")]),
                package("scrapering-e2e", vec![dependency("serde")]),
            ],
        }
    }

    fn faults_with(from: &str, to: Dependency) -> Vec<String> {
        let mut house = house();
        let package = house.packages.iter_mut().find(|package| package.name == from).unwrap();
        package.dependencies.push(to);
        arrow_faults(&house)
    }

    #[test]
    fn a_good_file_has_no_fault() {
        assert_eq!(rust_file_faults(&source("node/src/fetch.rs", "//! Fetches pages.\n")), [""; 0]);
    }

    #[test]
    fn a_file_without_a_head_is_a_fault() {
        let faults = rust_file_faults(&source("node/src/fetch.rs", "use std::fmt;\n//! Late.\n"));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].contains("does not open with"), "{faults:?}");
    }

    #[test]
    fn a_file_of_801_lines_is_a_fault_and_of_800_is_not() {
        let text = |lines: usize| format!("//! Long.\n{}", "\n".repeat(lines - 1));
        assert_eq!(rust_file_faults(&source("a.rs", &text(800))), [""; 0]);
        assert!(rust_file_faults(&source("a.rs", &text(801)))[0].contains("801 lines"));
    }

    #[test]
    fn a_module_named_mod_is_a_fault() {
        assert_eq!(rust_file_faults(&source("node/src/fetch/mod.rs", "//! Fetches.\n")).len(), 1);
    }

    #[test]
    fn placeholders_are_faults() {
        for word in [concat!("to", "do!()"), concat!("unimple", "mented!()"), concat!("// TO", "DO later")] {
            let text = format!("//! Unfinished.\nfn a() {{ {word} }}\n");
            assert_eq!(rust_file_faults(&source("a.rs", &text)).len(), 1, "{word}");
        }
    }

    #[test]
    fn a_test_that_sleeps_is_a_fault() {
        let text = concat!("//! Waits.\nstd::thread::", "sleep(a);\n");
        assert_eq!(rust_file_faults(&source("node/tests/a.rs", text)).len(), 1);
        assert_eq!(rust_file_faults(&source("node/src/a.rs", text)), [""; 0]);
    }

    #[test]
    fn a_clock_in_the_core_is_a_fault_and_in_a_comment_or_the_node_is_not() {
        let text = "//! Decides.\n// Instant::now is for others.\nlet now = Instant::now();\n";
        let faults = rust_file_faults(&source("node/core/src/a.rs", text));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("node/core/src/a.rs:3:"), "{faults:?}");
        assert_eq!(rust_file_faults(&source("node/src/a.rs", text)), [""; 0]);
    }

    #[test]
    fn a_path_of_one_machine_is_a_fault() {
        let faults = machine_path_faults(&source("README.md", concat!("Run\n/wo", "rk/tool\n")));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("README.md:2:"), "{faults:?}");
        let compiled_in = source("a.rs", concat!("env!(\"CARGO_MANIF", "EST_DIR\")"));
        assert_eq!(machine_path_faults(&compiled_in).len(), 1);
        assert_eq!(machine_path_faults(&source("README.md", "network/work is fine\n")), [""; 0]);
    }

    #[test]
    fn the_arrows_of_the_house_are_no_fault() {
        assert_eq!(arrow_faults(&house()), [""; 0]);
    }

    #[test]
    fn every_other_arrow_is_a_fault() {
        for (from, to) in [
            ("scrapering-core", "scrapering-proto"),
            ("scrapering-proto", "scrapering-core"),
            ("scrapering-crds", "scrapering-core"),
            ("scrapering-sim", "scrapering-proto"),
            ("scrapering-sim", "scrapering"),
            ("scrapering-operator", "scrapering"),
            ("scrapering-operator", "scrapering-core"),
            ("scrapering-e2e", "scrapering"),
            ("scrapering-e2e", "scrapering-core"),
            ("scrapering", "scrapering-sim"),
        ] {
            assert_eq!(faults_with(from, dependency(to)).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn an_async_runtime_in_the_core_is_a_fault_unless_only_its_tests_use_it() {
        assert_eq!(faults_with("scrapering-core", dependency("tokio")).len(), 1);
        let for_tests = Dependency { kind: Some("dev".to_owned()), ..dependency("rand") };
        assert_eq!(faults_with("scrapering-core", for_tests), [""; 0]);
    }

    #[test]
    fn kube_in_the_node_is_a_fault_by_name_by_feature_and_by_default() {
        assert_eq!(faults_with("scrapering", dependency("kube")).len(), 1);
        let by_feature = Dependency { features: vec!["kube".to_owned()], ..dependency("scrapering-crds") };
        assert_eq!(faults_with("scrapering", by_feature).len(), 1);
        let mut house = house();
        let default = BTreeMap::from([("default".to_owned(), vec!["kube".to_owned()])]);
        house.packages[2].features = default;
        assert_eq!(arrow_faults(&house).len(), 1);
    }

    #[test]
    fn a_banned_crate_in_a_tree_is_a_fault_and_a_namesake_is_not() {
        let tree = "scrapering v0.1.0\nkube-core v5.0.0\nkube v5.0.0 (*)\nkube v5.0.0\nkubert v1.0.0\n";
        assert_eq!(tree_faults(tree, &["kube", "kube-core"]), ["kube is in the tree", "kube-core is in the tree"]);
        assert_eq!(tree_faults("scrapering v0.1.0\n", &["kube"]), [""; 0]);
    }

    #[test]
    fn a_readme_without_the_commands_is_a_fault() {
        assert_eq!(
            readme_faults("Run `make run`.\n## Architecture invariants\nCHANGELOG.md\n"),
            ["README.md does not name `make test`"]
        );
    }
}
