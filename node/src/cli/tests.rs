//! The command line itself: what parses, what does not, and what the help says.

mod doors;

use super::{Cli, Command};
use clap::{CommandFactory, Parser};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_definition_of_the_arguments_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_documented_lines_parse() {
    for line in [
        "scrapering up",
        "scrapering up --nodes 5 --data d --gateway 127.0.0.1:8443 --allow-private-cidr 127.0.0.0/8 --allow-private-cidr ::1",
        "scrapering run job.yaml",
        "scrapering run job.yaml --output items.jsonl --allow-private-cidr 127.0.0.0/8 --data d --nodes 3",
        "scrapering run job.yaml --gateway https://ring.example:8443 --ca ca.pem --token-file token",
        "scrapering run job.yaml --gateway 127.0.0.1:9443",
        "scrapering run --resume 0198c1d2-7f3e-7abc-9def-0123456789ab -o -",
        "scrapering node --ring-dir d --name ring-0",
        "scrapering init --nodes 5 --data d",
        "scrapering job list",
        "scrapering job list -o yaml",
        "scrapering job list --context prod --output json",
        "scrapering job submit job.yaml --watch",
        "scrapering job submit - --idempotency-key nightly-7",
        "scrapering job watch 0198c1d2-7f3e-7abc-9def-0123456789ab",
        "scrapering run job.yaml --context prod",
        "scrapering context add prod --gateway https://a.example:8443 --gateway https://b.example:8443 --ca ca.pem --token-file t",
        "scrapering context list",
        "scrapering context use local",
        "scrapering context delete prod",
        "scrapering completion bash",
        "scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --format csv -o f",
        "scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --format parquet -o f",
        "scrapering keygen --output key.txt",
        "scrapering decrypt items.age --identity key.txt --output items.jsonl",
        "scrapering ring status --output json",
        "scrapering job list --data d --gateway https://ring.example:8443",
        "scrapering job --data d list",
        "scrapering job get 0198c1d2-7f3e-7abc-9def-0123456789ab",
        "scrapering job skipped 0198c1d2-7f3e-7abc-9def-0123456789ab",
        "scrapering job errors 0198c1d2-7f3e-7abc-9def-0123456789ab",
        "scrapering job frontier 0198c1d2-7f3e-7abc-9def-0123456789ab --host shop.example --pattern /a",
        "scrapering job exclusions 0198c1d2-7f3e-7abc-9def-0123456789ab --add \\?sort=",
        "scrapering schedule create nightly.yaml",
        "scrapering schedule list -o json",
        "scrapering schedule get nightly -o yaml",
        "scrapering schedule suspend nightly --context prod",
        "scrapering schedule resume nightly",
        "scrapering schedule trigger nightly",
        "scrapering schedule delete nightly",
        "scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --follow --output f",
        "scrapering export 0198c1d2-7f3e-7abc-9def-0123456789ab --to out --format parquet",
        "scrapering export 0198c1d2-7f3e-7abc-9def-0123456789ab --to s3://out/books",
        "scrapering extract job.yaml page.html --url https://shop.example/ --report",
        "scrapering extract job.yaml - --content-type application/json",
        "scrapering token create --scope jobs:read,jobs:write --scope ring:admin --ttl 1h",
        "scrapering ring status --data d",
        "scrapering ring lookup books.example",
        "scrapering ring leave ring-4",
        "scrapering hosts list --state broken -o json",
        "scrapering hosts show shop.example:8080",
        "scrapering hosts ledger shop.example --limit 10",
        "scrapering hosts robots shop.example",
        "scrapering hosts limit shop.example --delay 10s --concurrency 1 --block-for 2h --forgive",
        "scrapering hosts reset shop.example",
        "scrapering hosts opt-out shop.example --note mail --alone",
        "scrapering hosts opt-in shop.example",
        "scrapering hosts opt-outs",
        "scrapering hosts url https://shop.example/",
        "scrapering kv get a/b --any",
        "scrapering kv put a/b 10 --type text/plain --if-absent",
        "scrapering kv put a/b --file f",
        "scrapering kv cas a/b --version 7 11",
        "scrapering file list a/ --output json",
        "scrapering kv delete a/b --version 7",
        "scrapering kv list",
        "scrapering kv list a/",
        "scrapering kv watch a/b",
        "scrapering kv watch --prefix a/",
        "scrapering lock acquire nightly --ttl 30s --wait 1m --owner me",
        "scrapering lock renew nightly --token 7",
        "scrapering lock release nightly --token 7",
        "scrapering lock show nightly",
        "scrapering lock run nightly --ttl 30s -- ./import.sh --all",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn a_wrong_argument_is_named_with_what_would_be_right_and_ends_with_2() {
    for (line, expected) in [
        ("scrapering run", "JOB.yaml"),
        ("scrapering run job.yaml --resume 7", "a job id is a UUID"),
        ("scrapering run job.yaml --allow-private-cidr 10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("scrapering run job.yaml --gateway ring.example", "https://HOST:PORT"),
        ("scrapering up --gateway localhost", "--gateway"),
        ("scrapering up --nodes five", "--nodes"),
        ("scrapering token create", "--scope"),
        ("scrapering token create --scope root", "the scopes are jobs:read"),
        ("scrapering token create --scope jobs:read --ttl 60", "1h30m"),
        ("scrapering job get x", "a job id is a UUID"),
        ("scrapering job list --output xml", "[possible values: table, json, yaml]"),
        ("scrapering job list --context prod --data d", "cannot be used with"),
        ("scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab -o f --encrypt-to me", "scrapering keygen"),
        ("scrapering context add a/b --gateway https://a --ca c --token-file t", "letters, digits"),
        ("scrapering context add prod --gateway http://a --ca c --token-file t", "https://HOST:PORT"),
        ("scrapering frobnicate", "frobnicate"),
        ("scrapering kv get a/../b", "URLs cannot carry it"),
        ("scrapering kv put a", "<CONTENT>"),
        ("scrapering kv cas a 1", "--version"),
        ("scrapering kv watch", "<KEY>"),
        ("scrapering lock acquire a --ttl 100ms", "from 1s to 24h"),
        ("scrapering lock run a", "COMMAND"),
    ] {
        let error = parse(line).map(|_| ()).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(expected), "{line}: {error}");
    }
}

#[test]
fn every_command_has_a_sentence_and_an_example() {
    fn walk(command: &clap::Command, path: &str) {
        assert!(command.get_about().is_some(), "{path} has no sentence");
        if command.has_subcommands() {
            for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
                walk(inner, &format!("{path} {}", inner.get_name()));
            }
        } else {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&format!("Example: {path}")), "{path} has no example");
        }
    }
    walk(&Cli::command(), "scrapering");
}

#[test]
fn only_a_node_logs_by_itself() {
    let level = |line: &str| parse(line).expect(line).command.usual_log();
    assert_eq!(level("scrapering node --ring-dir d --name ring-0"), "info");
    assert_eq!(level("scrapering up"), "warn");
    assert_eq!(level("scrapering run job.yaml"), "error");
    assert!(matches!(parse("scrapering up").expect("parses").command, Command::Up(_)));
}
