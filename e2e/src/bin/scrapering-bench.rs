//! Pages per CPU second: a ring of one node and of five against a bare loop and Scrapy, on the fixture shop, in one run.
//!
//! Ratios hold better than absolute figures, so every round runs each tool once, in turn, and medians are compared.
//! A ring's process is measured as a whole, from start to exit; what a ring costs before the first page is measured
//! by a job of one page and shown beside it.
#![allow(clippy::print_stdout, reason = "a program prints its figures")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use scrapering_e2e::bench::{Cost, empty, fsync_latencies, median, quantile, run, table};
use scrapering_e2e::shop::{self, Shop};

/// Longest that one run of one tool may take.
const LIMIT: Duration = Duration::from_secs(1_200);

/// Samples of the fsync probe.
const FSYNCS: usize = 200;

/// Measures pages per CPU second of rings, of a bare loop and of Scrapy on the same site in the same run.
#[derive(Debug, Parser)]
struct Options {
    /// The folder with the release binaries.
    #[arg(long)]
    bin_dir: PathBuf,
    /// Scrapy's program; without it the table leaves Scrapy out.
    #[arg(long, requires = "spider")]
    scrapy: Option<PathBuf>,
    /// The spider that does the same job.
    #[arg(long)]
    spider: Option<PathBuf>,
    /// How many times each tool runs.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many products the shop has; there are a few hundred pages more.
    #[arg(long, default_value_t = 5_000)]
    products: u32,
    /// Requests open at once, for every tool.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=64))]
    concurrency: u32,
    /// A folder on the disk that is measured; it is emptied first and removed afterwards.
    #[arg(long, default_value = ".scrapering/bench")]
    data: PathBuf,
}

/// A tool of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Bare,
    Scrapy,
    Ring { nodes: u32 },
}

const TOOLS: [Tool; 4] = [Tool::Bare, Tool::Scrapy, Tool::Ring { nodes: 1 }, Tool::Ring { nodes: 5 }];

impl Tool {
    fn name(self) -> String {
        match self {
            Self::Bare => "bare reqwest + scraper loop".to_owned(),
            Self::Scrapy => "Scrapy".to_owned(),
            Self::Ring { nodes: 1 } => "ring of 1 node".to_owned(),
            Self::Ring { nodes } => format!("ring of {nodes} nodes"),
        }
    }
}

/// One run of one tool.
#[derive(Debug, Clone, Copy)]
struct Sample {
    tool: Tool,
    /// Pages that the shop answered with 2xx, robots.txt included.
    pages: u64,
    cost: Cost,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    empty(&options.data)?;
    let config = shop::Config { products: options.products, busy_once: false, ..shop::Config::default() };
    let shop = runtime.block_on(shop::start(config))?;
    let bench = Bench { options, shop };

    bench.print_fsync()?;
    let mut samples = Vec::new();
    let mut starts = Vec::new();
    for round in 1..=bench.options.rounds {
        for tool in bench.tools() {
            let sample = bench.measure(tool, None)?;
            println!(
                "round {round}: {:<28} {:>6} pages  {:>7.2} CPU-s  {:>7.2} s",
                tool.name(),
                sample.pages,
                sample.cost.cpu.as_secs_f64(),
                sample.cost.wall.as_secs_f64()
            );
            samples.push(sample);
            if matches!(tool, Tool::Ring { .. }) {
                starts.push(bench.measure(tool, Some(1))?);
            }
        }
    }
    print_table(&bench.tools(), &samples, &starts);
    std::fs::remove_dir_all(&bench.options.data)?;
    Ok(())
}

struct Bench {
    options: Options,
    shop: Shop,
}

impl Bench {
    fn print_fsync(&self) -> anyhow::Result<()> {
        let sorted = fsync_latencies(&self.options.data, FSYNCS)?;
        let ms = |share| quantile(&sorted, share).as_secs_f64() * 1000.0;
        println!(
            "fsync of 4 KiB on {}: p50 {:.3} ms, p99 {:.3} ms ({FSYNCS} samples)",
            self.options.data.display(),
            ms(0.5),
            ms(0.99)
        );
        println!(
            "shop of {} products, {} requests open at once, {} rounds",
            self.options.products, self.options.concurrency, self.options.rounds
        );
        Ok(())
    }

    fn tools(&self) -> Vec<Tool> {
        TOOLS.into_iter().filter(|tool| *tool != Tool::Scrapy || self.options.scrapy.is_some()).collect()
    }

    fn measure(&self, tool: Tool, max_pages: Option<u64>) -> anyhow::Result<Sample> {
        let folder = &self.options.data;
        let output = folder.join("items.jsonl");
        let mut command = match tool {
            Tool::Bare => self.bare_loop(&output),
            Tool::Scrapy => self.scrapy(&output)?,
            Tool::Ring { nodes } => self.ring(nodes, max_pages, &output)?,
        };
        let before = self.shop.log().answered_ok();
        let cost = run(&mut command, folder, "tool", LIMIT)?;
        let pages = self.shop.log().answered_ok() - before;
        if max_pages.is_none() {
            // A figure of a tool that left pages out would compare nothing.
            let items = std::fs::read_to_string(&output)?.lines().count();
            ensure!(
                items == self.options.products as usize,
                "{} brought {items} items from a shop of {} products",
                tool.name(),
                self.options.products
            );
        }
        std::fs::remove_file(&output).with_context(|| format!("{} wrote no items", tool.name()))?;
        Ok(Sample { tool, pages, cost })
    }

    fn bare_loop(&self, output: &Path) -> Command {
        let mut command = Command::new(self.options.bin_dir.join("bare-loop"));
        command.arg(self.shop.url()).args(["--concurrency", &self.options.concurrency.to_string()]);
        command.args(["--skip", "/cart", "--skip", "/admin"]).arg("--output").arg(output);
        command
    }

    fn scrapy(&self, output: &Path) -> anyhow::Result<Command> {
        let (Some(scrapy), Some(spider)) = (&self.options.scrapy, &self.options.spider) else {
            anyhow::bail!("Scrapy and its spider are not named");
        };
        let concurrency = self.options.concurrency;
        let mut command = Command::new(scrapy);
        command.arg("runspider").arg(spider).arg("-a").arg(format!("start={}", self.shop.url()));
        command.arg("-O").arg(format!("{}:jsonlines", output.display()));
        for setting in [
            format!("CONCURRENT_REQUESTS={concurrency}"),
            format!("CONCURRENT_REQUESTS_PER_DOMAIN={concurrency}"),
            "DOWNLOAD_DELAY=0".to_owned(),
            "ROBOTSTXT_OBEY=True".to_owned(),
            "TELNETCONSOLE_ENABLED=False".to_owned(),
            "LOG_LEVEL=ERROR".to_owned(),
        ] {
            command.args(["-s", &setting]);
        }
        Ok(command)
    }

    fn ring(&self, nodes: u32, max_pages: Option<u64>, output: &Path) -> anyhow::Result<Command> {
        let (job, ring) = (self.options.data.join("job.yaml"), self.options.data.join("ring"));
        std::fs::write(&job, job_file(&self.shop.url(), self.options.concurrency, max_pages))?;
        if ring.exists() {
            std::fs::remove_dir_all(&ring)?;
        }
        let mut command = Command::new(self.options.bin_dir.join("scrapering"));
        command.arg("run").arg(job).args(["--nodes", &nodes.to_string(), "--allow-private-cidr", "127.0.0.0/8"]);
        command.arg("--data").arg(ring).arg("--output").arg(output);
        Ok(command)
    }
}

/// The job that does what the bare loop does: every page of the host, title and price of each product.
fn job_file(url: &str, concurrency: u32, max_pages: Option<u64>) -> String {
    let limits = max_pages.map(|pages| format!("  limits: {{maxPages: {pages}}}\n")).unwrap_or_default();
    format!(
        "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {{name: bench}}\nspec:\n  \
         seeds: [{{url: \"{url}\"}}]\n  politeness: {{delay: 0s, concurrentRequestsPerHost: {concurrency}}}\n{limits}  \
         extract:\n    - name: product\n      baseSelector: article.product\n      fields:\n        \
         - {{name: title, selector: h1}}\n        - {{name: price, selector: .price}}\n"
    )
}

fn print_table(tools: &[Tool], samples: &[Sample], starts: &[Sample]) {
    let of = |samples: &[Sample], tool, figure: fn(&Sample) -> f64| {
        median(samples.iter().filter(|sample| sample.tool == tool).map(figure))
    };
    let cpu: fn(&Sample) -> f64 = |sample| sample.cost.cpu.as_secs_f64();
    let wall: fn(&Sample) -> f64 = |sample| sample.cost.wall.as_secs_f64();
    let pages: fn(&Sample) -> f64 = |sample| sample.pages as f64;
    // A tick of CPU time is 10 ms: less than one is not a figure to divide by.
    let rate = |tool, start: f64| of(samples, tool, pages) / (of(samples, tool, cpu) - start).max(0.01);
    let floor = rate(Tool::Bare, 0.0);
    let times_scrapy = |rate_of: f64| match tools.contains(&Tool::Scrapy) {
        true => format!("{:.1}", rate_of / rate(Tool::Scrapy, 0.0)),
        false => "-".to_owned(),
    };
    let mut rows = Vec::new();
    for &tool in tools {
        let start = of(starts, tool, cpu);
        rows.push(vec![
            tool.name(),
            format!("{:.0}", of(samples, tool, pages)),
            format!("{:.2}", of(samples, tool, cpu)),
            format!("{start:.2}"),
            format!("{:.2}", of(samples, tool, wall)),
            format!("{:.0}", rate(tool, 0.0)),
            format!("{:.3}", rate(tool, 0.0) / floor),
            times_scrapy(rate(tool, 0.0)),
            format!("{:.0}", rate(tool, start)),
            format!("{:.3}", rate(tool, start) / floor),
            times_scrapy(rate(tool, start)),
        ]);
    }
    let header = [
        "medians",
        "pages",
        "CPU-s",
        "of it start",
        "wall s",
        "pages/CPU-s",
        "of bare",
        "x Scrapy",
        "without start",
        "of bare",
        "x Scrapy",
    ];
    println!("\n{}", table(&header, &rows));
}
