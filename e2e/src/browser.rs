//! A real browser, driven by the W3C WebDriver protocol through `chromedriver`: looks at a page and uses it as a person would.
//!
//! Where there is no Chromium, [`Browser::open`] says so and gives nothing; the test that asked ends with a line that
//! nobody can overlook.

use crate::door::until;
use anyhow::{Context, bail, ensure};
use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long the driver may take to listen, and one command to be answered: a browser starts slowly on a busy machine.
const DRIVER_LIMIT: Duration = Duration::from_secs(60);
/// How long something on a page is waited for, unless the test says otherwise.
const PAGE_LIMIT: Duration = Duration::from_secs(30);
/// The name of an element's reference in answers (WebDriver, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One window of a browser. Dropped, driver and browser are killed.
#[derive(Debug)]
pub struct Browser {
    http: Client,
    session: String,
    _driver: Group,
}

/// A process and all that it has started.
#[derive(Debug)]
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(leader) = leader {
            // A group that is gone needs nothing.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Browser {
    /// Opens a window whose downloads go into `downloads`, with its driver at a free `port`; nothing if this machine has
    /// no Chromium and no driver of it.
    ///
    /// `CHROMIUM` and `CHROMEDRIVER` name them where they are not on the path.
    ///
    /// # Errors
    /// They are there and do not work.
    pub async fn open(downloads: &Path, port: u16) -> anyhow::Result<Option<Self>> {
        let chromium = program("CHROMIUM", &["chromium", "chromium-browser", "google-chrome"]);
        let (Some(chromium), Some(driver)) = (chromium, program("CHROMEDRIVER", &["chromedriver"])) else {
            return Ok(None);
        };
        let driver_process = Command::new(&driver)
            .process_group(0)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", driver.display()))?;
        let driver = Group(driver_process);
        let http = Client::builder().no_proxy().timeout(DRIVER_LIMIT).build()?;
        let root = format!("http://127.0.0.1:{port}");
        until("a driver that listens", DRIVER_LIMIT, async || {
            let status = http.get(format!("{root}/status")).send().await;
            Ok(status.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        })
        .await?;
        let wanted = json!({"capabilities": {"alwaysMatch": {
            // The browser does not know the ring's CA; that gateways are trusted by it is checked by every other test.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {
                "binary": chromium,
                "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"],
                "prefs": {"download.default_directory": downloads, "download.prompt_for_download": false},
            },
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let begun = value(http.post(format!("{root}/session")).json(&wanted).send().await?).await?;
        let id = begun["sessionId"].as_str().with_context(|| format!("no session in {begun}"))?;
        Ok(Some(Self { http, session: format!("{root}/session/{id}"), _driver: driver }))
    }

    /// Goes to an address.
    ///
    /// # Errors
    /// The page cannot be loaded.
    pub async fn go(&self, url: &str) -> anyhow::Result<()> {
        self.call(Method::POST, "url", json!({"url": url})).await.map(|_| ())
    }

    /// Runs a function's body in the page; what it returns.
    ///
    /// # Errors
    /// It throws.
    pub async fn run(&self, script: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        self.call(Method::POST, "execute/sync", json!({"script": script, "args": arguments})).await
    }

    /// Writes into the field that `selector` finds, as its user would, in place of what it holds.
    ///
    /// # Errors
    /// There is no such field after a while.
    pub async fn write(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = self.element("css selector", selector).await?;
        self.call(Method::POST, &format!("element/{element}/clear"), json!({})).await?;
        self.call(Method::POST, &format!("element/{element}/value"), json!({"text": text})).await.map(|_| ())
    }

    /// Presses the button or follows the link that is called `words`.
    ///
    /// # Errors
    /// There is none after a while, or something lies over it.
    pub async fn press(&self, words: &str) -> anyhow::Result<()> {
        let path = format!("//*[self::button or self::a][normalize-space()=\"{words}\"]");
        let element = self.element("xpath", &path).await?;
        self.call(Method::POST, &format!("element/{element}/click"), json!({})).await.map(|_| ())
    }

    /// Waits until the page shows `words`.
    ///
    /// # Errors
    /// It does not within `limit`; the error holds what it shows instead.
    pub async fn sees(&self, words: &str, limit: Duration) -> anyhow::Result<()> {
        let seen = until(words, limit, async || Ok(self.text().await?.contains(words).then_some(()))).await;
        match seen {
            Ok(()) => Ok(()),
            Err(_) => bail!("\"{words}\" was not shown within {limit:?}; the page shows:\n{}", self.text().await?),
        }
    }

    /// Everything the page shows.
    ///
    /// # Errors
    /// The browser is gone.
    pub async fn text(&self) -> anyhow::Result<String> {
        let text = self.run("return document.body.innerText", &[]).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// What the page has complained about in the browser's console since the last look: errors, and what its own policy forbids.
    ///
    /// # Errors
    /// The browser is gone.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let log = self.call(Method::POST, "se/log", json!({"type": "browser"})).await?;
        let entries = log.as_array().with_context(|| format!("no log in {log}"))?;
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        Ok(severe.filter_map(|entry| entry["message"].as_str()).map(str::to_owned).collect())
    }

    async fn element(&self, using: &str, what: &str) -> anyhow::Result<String> {
        until(what, PAGE_LIMIT, async || {
            let found = self.call(Method::POST, "elements", json!({"using": using, "value": what})).await?;
            Ok(found[0][ELEMENT].as_str().map(str::to_owned))
        })
        .await
    }

    async fn call(&self, method: Method, command: &str, body: Value) -> anyhow::Result<Value> {
        value(self.http.request(method, format!("{}/{command}", self.session)).json(&body).send().await?).await
    }
}

async fn value(answer: reqwest::Response) -> anyhow::Result<Value> {
    let (status, mut body) = (answer.status(), answer.json::<Value>().await?);
    ensure!(status.is_success(), "the browser says {status}: {}", body["value"]["message"]);
    Ok(body["value"].take())
}

/// The program that `variable` names, or the first of `names` on the path.
fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable).filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}
