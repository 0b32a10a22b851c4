//! The definitions in the chart and in `crds/yaml` are those that `crdgen` writes today.

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
fn the_definitions_in_git_are_up_to_date() {
    let written = tempfile::tempdir().expect("a folder");
    let (chart, plain) = (written.path().join("chart"), written.path().join("plain"));
    let page = written.path().join("reference.md");
    fs::create_dir(&chart).and_then(|()| fs::create_dir(&plain)).expect("two folders");
    let status =
        Command::new(env!("CARGO_BIN_EXE_crdgen")).args([&chart, &plain, &page]).status().expect("crdgen starts");
    assert!(status.success());
    for (in_git, now) in [(Path::new("../helm/templates/crds"), chart), (Path::new("yaml"), plain)] {
        assert!(files(in_git) == files(&now), "{} is out of date: run `make manifests`", in_git.display());
    }
    let in_git = fs::read_to_string("../docs/reference.md").unwrap_or_default();
    let now = fs::read_to_string(page).expect("the page of every field");
    assert!(in_git == now, "docs/reference.md is out of date: run `make manifests`");
    for field in ["spec.security.tls.issuerRef.name", "spec.seeds[]` *required*", "spec.extract[].fields[].selector"] {
        assert!(now.contains(&format!("| `{field}")), "the page lacks {field}");
    }
}

#[test]
fn crdgen_without_its_folders_says_how_it_is_used() {
    let output = Command::new(env!("CARGO_BIN_EXE_crdgen")).arg("one").output().expect("crdgen starts");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "usage: crdgen CHART_DIR YAML_DIR REFERENCE\n");
}
