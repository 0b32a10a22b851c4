//! The definitions in the chart are those that `crdgen` writes today.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths.map(|path| (name(&path), fs::read_to_string(&path).expect("a text"))).collect()
}

#[test]
fn the_definitions_in_the_chart_are_up_to_date() {
    let written = tempfile::tempdir().expect("a folder");
    let status = Command::new(env!("CARGO_BIN_EXE_crdgen")).arg(written.path()).status().expect("crdgen starts");
    assert!(status.success());
    let chart = Path::new("../helm/templates/crds");
    assert!(
        files(chart) == files(written.path()),
        "helm/templates/crds is out of date: cargo run -p scrapering-crds --features kube --bin crdgen helm/templates/crds"
    );
}

#[test]
fn crdgen_without_a_folder_says_how_it_is_used() {
    let output = Command::new(env!("CARGO_BIN_EXE_crdgen")).output().expect("crdgen starts");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "usage: crdgen DIR\n");
}
