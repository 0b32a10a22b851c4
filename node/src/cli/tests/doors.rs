//! `docs/doors.md` shows every command with curl and from Python; `make doors` runs what it shows. Here: nothing is left out.

use super::super::Cli;
use clap::CommandFactory;
use prost::Message;
use scrapering_proto::gateway::DEFINITION;
use serde_json::Value;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/doors.md");
/// For Prometheus only.
const NOT_FOR_USERS: &str = "GET /metrics";

/// Every command that does something, without the program's name.
fn commands() -> BTreeSet<String> {
    fn walk(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        let inner: Vec<_> = command.get_subcommands().filter(|inner| inner.get_name() != "help").collect();
        if inner.is_empty() {
            found.insert(path.trim().to_owned());
        }
        for inner in inner {
            walk(inner, &format!("{path} {}", inner.get_name()), found);
        }
    }
    let mut found = BTreeSet::new();
    walk(&Cli::command(), "", &mut found);
    found
}

/// The cells of each row of the tables with so many columns, without their heads; of a cell what stands in backticks.
fn rows(columns: usize) -> Vec<Vec<Vec<String>>> {
    let lines = PAGE.lines().filter(|line| line.starts_with('|') && !line.starts_with("| command line"));
    let rows = lines.filter(|line| !line.starts_with("|---")).map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()).collect::<Vec<_>>()
    });
    rows.filter(|row| row.len() == columns).collect()
}

fn column(column: usize) -> BTreeSet<String> {
    rows(3).into_iter().flat_map(|mut row| row.swap_remove(column)).collect()
}

/// The page's code in a language.
fn code(language: &str) -> String {
    let mut parts = PAGE.split(&format!("\n```{language}\n")).skip(1).collect::<Vec<_>>();
    for part in &mut parts {
        *part = part.split("\n```").next().unwrap_or_default();
    }
    parts.join("\n")
}

/// Method and path of every request that the page makes with curl.
fn requests() -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for line in code("bash").lines() {
        for (place, _) in line.match_indices("\"$RING/") {
            let before = &line[..place];
            let begin = before.rfind("ring ").or_else(|| before.rfind("curl ")).unwrap_or_default();
            let words = &before[begin..];
            let named =
                ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().find(|m| words.contains(&format!("-X {m} ")));
            let method = match named {
                Some(method) => method,
                None if words.contains(" -T ") => "PUT",
                None if words.contains(" -d ") || words.contains("--data-binary") => "POST",
                None => "GET",
            };
            let path = line[place + "\"$RING".len()..].split(['"', '?']).next().unwrap_or_default();
            found.push((method, path.to_owned()));
        }
    }
    found
}

fn is_at(template: &str, path: &str) -> bool {
    match template.split_once("{key}") {
        // A key may have slashes.
        Some((base, "")) => path.strip_prefix(base).is_some_and(|key| !key.is_empty()),
        _ => {
            let (wanted, words): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            wanted.len() == words.len()
                && wanted.iter().zip(words).all(|(wanted, word)| wanted.starts_with('{') || *wanted == word)
        }
    }
}

#[test]
fn every_command_is_in_one_of_the_tables_and_no_other() {
    let mut named = column(0);
    for row in rows(2) {
        for command in &row[0] {
            assert!(named.insert(command.clone()), "{command} is in both tables");
        }
    }
    let commands = commands();
    assert_eq!(commands.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "are missing in docs/doors.md");
    assert_eq!(named.difference(&commands).collect::<Vec<_>>(), Vec::<&String>::new(), "are no commands");
}

#[test]
fn every_row_is_one_way_over_http_and_one_over_grpc() {
    for row in rows(3) {
        assert!(!row[1].is_empty() && !row[2].is_empty(), "{row:?}");
    }
    assert!(rows(3).len() > 40, "the table is not where this test looks for it");
}

#[test]
fn every_operation_for_users_is_in_the_table_and_asked_for_with_curl() {
    let document: Value = serde_json::from_str(crate::gateway::openapi::document()).expect("JSON");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if operation["security"].as_array().is_some_and(|security| !security.is_empty()) {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    described.remove(NOT_FOR_USERS);
    assert_eq!(described, column(1), "the operations of the API's document, and those of the table");
    let requests = requests();
    for operation in described {
        let (method, template) = operation.split_once(' ').expect("a method and a path");
        let shown = requests.iter().any(|(asked, path)| *asked == method && is_at(template, path));
        assert!(shown, "docs/doors.md never asks for {operation} with curl");
    }
}

#[test]
fn every_call_of_the_service_is_in_the_table_and_made_from_python() {
    let definition = prost_types::FileDescriptorSet::decode(DEFINITION).expect("a definition");
    let services = definition.file.into_iter().flat_map(|file| file.service);
    let calls: BTreeSet<String> =
        services.flat_map(|service| service.method).map(|method| method.name().to_owned()).collect();
    assert_eq!(calls, column(2), "the calls of the service, and those of the table");
    let python = code("python");
    for call in calls {
        let shown = python
            .match_indices(&format!("ring.{call}"))
            .any(|(place, found)| !python[place + found.len()..].starts_with(|next: char| next.is_alphanumeric()));
        assert!(shown, "docs/doors.md never calls {call} from Python");
    }
}
