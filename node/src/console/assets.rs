//! The files of the console, as they stand in `node/console`, in this binary.

/// A file.
pub(super) struct Asset {
    /// Its name, without a folder.
    pub(super) name: &'static str,
    /// Its media type.
    pub(super) content_type: &'static str,
    /// What is in it.
    pub(super) bytes: &'static [u8],
}

/// The page itself.
pub(super) const PAGE: &str = include_str!("../../console/index.html");

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset { name: $name, content_type: $content_type, bytes: include_bytes!(concat!("../../console/", $name)) }
    };
}

/// Every other file.
pub(super) const ASSETS: &[Asset] = &[
    asset!("api.js", "text/javascript; charset=utf-8"),
    asset!("base.css", "text/css; charset=utf-8"),
    asset!("blocked.js", "text/javascript; charset=utf-8"),
    asset!("circle.js", "text/javascript; charset=utf-8"),
    asset!("curve.js", "text/javascript; charset=utf-8"),
    asset!("dom.js", "text/javascript; charset=utf-8"),
    asset!("editor.js", "text/javascript; charset=utf-8"),
    asset!("entry.js", "text/javascript; charset=utf-8"),
    asset!("format.js", "text/javascript; charset=utf-8"),
    asset!("host.js", "text/javascript; charset=utf-8"),
    asset!("hosts.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("items.js", "text/javascript; charset=utf-8"),
    asset!("job.js", "text/javascript; charset=utf-8"),
    asset!("jobs.js", "text/javascript; charset=utf-8"),
    asset!("keys.js", "text/javascript; charset=utf-8"),
    asset!("main.js", "text/javascript; charset=utf-8"),
    asset!("nodes.js", "text/javascript; charset=utf-8"),
    asset!("optouts.js", "text/javascript; charset=utf-8"),
    asset!("outputs.js", "text/javascript; charset=utf-8"),
    asset!("pages.css", "text/css; charset=utf-8"),
    asset!("queue.js", "text/javascript; charset=utf-8"),
    asset!("ring.js", "text/javascript; charset=utf-8"),
    asset!("samples.js", "text/javascript; charset=utf-8"),
    asset!("schedules.js", "text/javascript; charset=utf-8"),
    asset!("signin.js", "text/javascript; charset=utf-8"),
    asset!("submit.js", "text/javascript; charset=utf-8"),
    asset!("tabs.js", "text/javascript; charset=utf-8"),
    asset!("trial.js", "text/javascript; charset=utf-8"),
];
