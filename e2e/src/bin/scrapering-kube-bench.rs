//! `scrapering-kube-bench [JOBS]`, run at the top of the tree: what many jobs at once cost an operator on a real API server.
#![allow(clippy::print_stdout, reason = "a program prints its figures")]

use std::path::Path;

use anyhow::Context;
use scrapering_e2e::bench::table;
use scrapering_e2e::kube::{ASSETS, assets, load};

/// Jobs unless told otherwise.
const JOBS: u32 = 1_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(assets) = assets()? else {
        println!("{ASSETS} is unset: nothing is measured on an API server");
        return Ok(());
    };
    let count = std::env::args().nth(1).map(|text| text.parse()).transpose().context("a number of jobs")?;
    let folder = std::env::temp_dir().join(format!("scrapering-kube-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let figures = load::run(&assets, &folder, Path::new("helm"), count.unwrap_or(JOBS)).await?;
    let rows: Vec<Vec<String>> = figures.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    print!("{}", table(&["rings of one node", ""], &rows));
    Ok(std::fs::remove_dir_all(&folder)?)
}
