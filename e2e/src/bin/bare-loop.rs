//! The floor that the ring is measured against: fetch, parse, extract, follow, print, and nothing else.
//!
//! No robots.txt, no politeness, no retries, nothing durable: what one page costs at least with the same libraries.
#![allow(clippy::print_stdout, reason = "a program prints its figures")]

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use reqwest::{Client, Url};
use scraper::{Html, Selector};
use scrapering_e2e::cpu::CpuTime;
use serde::Serialize;
use tokio::task::JoinSet;

/// Most pages that one run may know: a site without end must not eat the machine.
const MAX_KNOWN: usize = 1_000_000;

/// Crawls one host with as little around it as possible and prints what a page costs.
#[derive(Debug, Parser)]
struct Options {
    /// Where to begin; only this host is visited.
    url: Url,
    /// How many requests are open at once.
    #[arg(long, default_value_t = 16)]
    concurrency: usize,
    /// A path prefix that is not followed; may be given many times.
    #[arg(long)]
    skip: Vec<String>,
    /// Where the items go, as JSON lines.
    #[arg(long)]
    output: PathBuf,
}

/// What is taken from a product's page.
#[derive(Debug, Serialize)]
struct Item {
    url: String,
    title: String,
    price: String,
}

/// The selectors, parsed once.
#[derive(Debug)]
struct Selectors {
    link: Selector,
    title: Selector,
    price: Selector,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider was already there"))?;
    let parse = |text: &str| Selector::parse(text).map_err(|error| anyhow::anyhow!("{error}"));
    let selectors = Arc::new(Selectors {
        link: parse("a[href]")?,
        title: parse("article.product h1")?,
        price: parse("article.product .price")?,
    });
    let file = File::create(&options.output).with_context(|| format!("cannot write {}", options.output.display()))?;
    let mut output = BufWriter::new(file);
    let client = Client::new();
    let (begun, cpu_before) = (Instant::now(), CpuTime::of_self()?);

    let mut known = BTreeSet::from([options.url.clone()]);
    let mut open = VecDeque::from([options.url.clone()]);
    let mut fetching = JoinSet::new();
    let (mut pages, mut items) = (0_u64, 0_u64);
    loop {
        while fetching.len() < options.concurrency.max(1) {
            let Some(url) = open.pop_front() else { break };
            fetching.spawn(fetch(client.clone(), url, Arc::clone(&selectors)));
        }
        let Some(fetched) = fetching.join_next().await else {
            break;
        };
        let Some((item, links)) = fetched?? else {
            continue;
        };
        pages += 1;
        if let Some(item) = item {
            items += 1;
            serde_json::to_writer(&mut output, &item)?;
            output.write_all(b"\n")?;
        }
        for link in links {
            let wanted = link.host_str() == options.url.host_str()
                && link.port() == options.url.port()
                && !options.skip.iter().any(|prefix| link.path().starts_with(prefix));
            if wanted && known.len() < MAX_KNOWN && known.insert(link.clone()) {
                open.push_back(link);
            }
        }
    }
    output.flush()?;
    let cpu = (CpuTime::of_self()?.total() - cpu_before.total()).as_secs_f64();
    println!(
        "{}",
        serde_json::json!({"pages": pages, "items": items, "cpu_s": cpu, "wall_s": begun.elapsed().as_secs_f64()})
    );
    Ok(())
}

/// One page: its item, if it is a product's, and its links. `None` when the answer was not 2xx.
async fn fetch(
    client: Client,
    url: Url,
    selectors: Arc<Selectors>,
) -> anyhow::Result<Option<(Option<Item>, Vec<Url>)>> {
    let response = client.get(url).send().await?;
    if !response.status().is_success() {
        return Ok(None);
    }
    let url = response.url().clone();
    let page = Html::parse_document(&response.text().await?);
    let text = |selector: &Selector| page.select(selector).next().map(|element| element.text().collect::<String>());
    let item = text(&selectors.title).zip(text(&selectors.price)).map(|(title, price)| Item {
        url: url.to_string(),
        title: title.trim().to_owned(),
        price: price.trim().to_owned(),
    });
    let links = page
        .select(&selectors.link)
        .filter_map(|element| url.join(element.attr("href")?).ok())
        .map(|mut link| {
            link.set_fragment(None);
            link
        })
        .collect();
    Ok(Some((item, links)))
}
