//! `spec.scope`: which pages belong to a job.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rules;

/// Most entries in `scope.allowedDomains`.
pub const DOMAINS_MAX: usize = 100;
/// Most entries in `scope.denyExtensions`.
pub const EXTENSIONS_MAX: usize = 200;
/// Most entries in `scope.mimeTypes`.
pub const MIME_TYPES_MAX: usize = 32;

/// What `scope.denyExtensions` is unless it is written: what holds neither links nor items.
#[rustfmt::skip]
pub const DENIED_EXTENSIONS: [&str; 85] = [
    // Images.
    "ai", "avif", "bmp", "eps", "gif", "heic", "ico", "jpeg", "jpg", "png", "psd", "svg", "tif", "tiff", "webp",
    // Sound.
    "aac", "aiff", "flac", "m4a", "mid", "mp3", "ogg", "opus", "wav", "wma",
    // Pictures that move.
    "3gp", "avi", "flv", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "swf", "webm", "wmv",
    // Fonts.
    "eot", "otf", "ttf", "woff", "woff2",
    // Archives.
    "7z", "bz2", "cab", "gz", "lz4", "rar", "tar", "tgz", "txz", "xz", "zip", "zst",
    // Programs, and disks of them.
    "apk", "bin", "deb", "dll", "dmg", "exe", "img", "iso", "jar", "msi", "pkg", "rpm", "so", "war", "wasm",
    // Documents of office programs, and for printers.
    "djvu", "doc", "docx", "epub", "mobi", "odp", "ods", "odt", "pdf", "ppt", "pptx", "ps", "rtf", "xls", "xlsx",
];

/// Which pages belong to the job. Seeds always do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_scope)]
pub struct ScopeSpec {
    /// page: the seeds alone. prefix: below the folder of a seed. host: the host and port of a seed. domain: the registrable domain of a seed, with all its subdomains. any: every URL. custom: what `include` matches.
    #[serde(default)]
    pub scope_type: ScopeType,
    /// Most links between a seed and a page; 0 fetches the seeds alone. Without it depth has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 0, max = 100_000))]
    pub max_depth: Option<u32>,
    /// Pages outside the scope are followed for so many links in a row.
    #[serde(default)]
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub extra_hops: u32,
    /// Regular expressions (linear time, no look-around); with any, a page's URL must match at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 1024)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub include: Vec<String>,
    /// Regular expressions; a URL that matches one is left out, whatever `include` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 1024)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub exclude: Vec<String>,
    /// Hosts that belong to the job, each with all below it, whatever `scopeType`, `include` and `extraHops` say; with any, a page's host must be one of them. Names such as `example.com`, or addresses, without a port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 253), regex(pattern = r"^([^\s*:/?#@%\\\[\]]+|\[[0-9A-Fa-f:.]+\])$")),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub allowed_domains: Vec<String>,
    /// File extensions, without the dot and in any case; a link is left out if the path of its URL ends in a dot and one of them. Seeds, sitemaps and feeds are not. An empty list leaves nothing out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 200),
        inner(length(min = 1, max = 20), regex(pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")),
        transform = say_denied_extensions,
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub deny_extensions: Option<Vec<String>>,
    /// The media types of pages, such as `application/json`, or `text/*` for all that begin so; a page that is answered with another Content-Type is skipped, its body unread. One without a Content-Type counts as `text/html`. Sitemaps, feeds and robots.txt may be of any type. Pages of types that neither links nor items can be read from are only kept, in so far as `outputs` keeps pages. Without any: HTML, XHTML, plain text, XML and JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(
            length(min = 3, max = 127),
            regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/(\*|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)$")
        ),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub mime_types: Vec<String>,
}

/// How far a job may wander from its seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScopeType {
    /// The host and port of a seed.
    #[default]
    Host,
    /// Below the folder of a seed.
    Prefix,
    /// The registrable domain of a seed.
    Domain,
    /// The seeds alone.
    Page,
    /// Every URL.
    Any,
    /// What `include` matches.
    Custom,
}

/// Says what the field is when it is left out.
fn say_denied_extensions(schema: &mut Schema) {
    let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let said = format!("{said} Without it: {}.", DENIED_EXTENSIONS.join(", "));
    schema.insert("description".to_owned(), json!(said));
}
