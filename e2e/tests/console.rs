//! The console in a real browser: a person signs in, submits a job with a mistake, mends it, takes the items away and sees nodes die.

use anyhow::{Context, ensure};
use reqwest::Method;
use scrapering_e2e::browser::Browser;
use scrapering_e2e::door::until;
use scrapering_e2e::errand::Errand;
use scrapering_e2e::ring::Ring;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const DELAY: Duration = Duration::from_millis(20);
/// How long a command, a page or a short job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// Puts a text into the editor as pasting does.
const PASTE: &str = "const field = document.querySelector('#job'); field.value = arguments[0]; \
    field.dispatchEvent(new Event('input', {bubbles: true}));";

#[allow(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn skipped() -> anyhow::Result<()> {
    eprintln!(
        "SKIPPED, NOTHING WAS TESTED: the console needs chromium and chromedriver; install them, or name them in CHROMIUM and CHROMEDRIVER"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_submits_mends_watches_downloads_and_sees_two_nodes_die() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let downloads = folder.path().join("downloads");
    std::fs::create_dir(&downloads)?;
    let mut ring = Ring::init(folder.path(), 5).await?;
    let Some(browser) = Browser::open(&downloads, ring.ports().spare()).await? else { return skipped() };
    ring.start_all().await?;
    let errand = Errand::begin(folder.path(), 40, DELAY).await?;
    let home = format!("https://127.0.0.1:{}/", ring.ports().gateway());
    browser.go(&home).await?;
    browser.write("#token", "a.b.c").await?;
    browser.press("Sign in").await?;
    browser.sees("the token is malformed", LIMIT).await?;
    browser.write("#token", ring.door().token()).await?;
    browser.press("Sign in").await?;
    browser.sees("All is well", LIMIT).await?;
    browser.sees("nodes, all alive", LIMIT).await?;
    // The refused token and the checks of a wrong job are answers that browsers complain about; nothing after them is.
    submit_and_mend(&browser, &errand).await?;
    browser.complaints().await?;
    browser.sees("Completed", LIMIT).await?;
    browser.sees(&format!("{} items", errand.products()), LIMIT).await?;
    browser.press("Download items as NDJSON").await?;
    errand.check_items(&downloaded(&downloads.join("shop-items.jsonl")).await?)?;
    pages_and_dropped(&browser).await?;
    stop_and_cancel(&browser, &ring, &errand).await?;
    browser.press("Schedules").await?;
    browser.sees("No schedules yet", LIMIT).await?;
    browser.press("Hosts").await?;
    browser.press(errand.url().trim_end_matches('/')).await?;
    browser.sees("What all jobs keep to", LIMIT).await?;
    browser.sees("/robots.txt", LIMIT).await?;
    browser.press("Ring").await?;
    browser.sees("All is well", LIMIT).await?;
    ring.kill(&[3, 4]).await?;
    browser.sees("ring-3 and ring-4 do not answer", LIMIT).await?;
    browser.sees("3/5", LIMIT).await?;
    until("a picture with two dead nodes", LIMIT, async || {
        let drawn = browser.run("return document.querySelectorAll('.copies .dead').length", &[]).await?;
        Ok((drawn == 2).then_some(()))
    })
    .await?;
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "the page has complained: {complaints:#?}");
    Ok(())
}

async fn submit_and_mend(browser: &Browser, errand: &Errand) -> anyhow::Result<()> {
    browser.press("Jobs").await?;
    browser.press("New job").await?;
    let right = errand.job("");
    browser.run(PASTE, &[&right.replace("delay: 20ms", "delay: soon")]).await?;
    browser.sees("spec.politeness.delay", LIMIT).await?;
    let marked = browser.run("return document.querySelectorAll('.wrong-line').length", &[]).await?;
    ensure!(marked == 1, "{marked} lines are marked as wrong");
    browser.run(PASTE, &[&right]).await?;
    browser.sees("Every field is right", LIMIT).await?;
    browser.write("#trial", &format!("{}product/1", errand.url())).await?;
    browser.press("Try it").await?;
    browser.sees("1 item", LIMIT).await?;
    browser.press("Submit").await
}

/// What else the job has, by its tabs; they carry counts, so they are found by their ids.
async fn pages_and_dropped(browser: &Browser) -> anyhow::Result<()> {
    for (tab, words) in [
        ("pages", "As it was read"),
        ("queue", "Nothing waits"),
        ("errors", "No item was dropped"),
        ("outputs", "Nothing is written elsewhere"),
        ("file", "scrapering.io/v1alpha1"),
    ] {
        open_tab(browser, tab).await?;
        browser.sees(words, LIMIT).await?;
    }
    open_tab(browser, "items").await?;
    browser.run("document.querySelector('.open-entry').click()", &[]).await?;
    browser.press("Close").await
}

async fn open_tab(browser: &Browser, tab: &str) -> anyhow::Result<()> {
    browser.run(&format!("document.querySelector('#tab-{tab}').click()"), &[]).await.map(|_| ())
}

/// Two jobs that cannot begin, because their host is closed: one is stopped and one is cancelled.
async fn stop_and_cancel(browser: &Browser, ring: &Ring, errand: &Errand) -> anyhow::Result<()> {
    let url = errand.url();
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let closed = r#"{"limits": {"closed": true}}"#;
    let answer = ring.door().ask(Method::PATCH, &format!("/v1/hosts/{host}"), Some(closed)).await?;
    ensure!(answer.status.is_success(), "{answer:?}");
    for (name, lever, sure, ended) in
        [("to-stop", "Stop", None, "Stopped"), ("to-cancel", "Cancel…", Some("Cancel the job"), "Cancelled")]
    {
        ring.door().submit(&errand.job("").replace("name: shop", &format!("name: {name}"))).await?;
        browser.press("Jobs").await?;
        browser.press(name).await?;
        browser.sees(&format!("http://{host} closed by the operator, until it is opened again"), LIMIT).await?;
        open_tab(browser, "queue").await?;
        browser.sees("1 URL waits", LIMIT).await?;
        browser.press(lever).await?;
        if let Some(sure) = sure {
            browser.press(sure).await?;
        }
        browser.sees(ended, LIMIT).await?;
    }
    Ok(())
}

/// The items in a file, once the browser has finished it.
async fn downloaded(file: &Path) -> anyhow::Result<Vec<Value>> {
    until("a downloaded file", LIMIT, async || Ok(file.exists().then_some(()))).await?;
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
