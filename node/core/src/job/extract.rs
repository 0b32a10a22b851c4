//! What is taken from each page, and which of its links are followed: the checked form of `spec.extract` and `spec.follow`.
//!
//! Selectors and patterns are texts here, known to parse; the node compiles them once for each job.

use serde::{Deserialize, Serialize};

use super::canonical::NormalizedUrl;
use super::scope::Patterns;

/// Where a crawl starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Canonical.
    pub url: NormalizedUrl,
    /// What stands there.
    pub kind: DocumentKind,
    /// Which of the job's labels it has, counted from 1; 0 is none.
    pub label: u16,
}

/// What stands at a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DocumentKind {
    /// A page.
    #[default]
    Page,
    /// A sitemap or a feed: a list of pages.
    List,
    /// A robots.txt, for the sitemaps that it names.
    Robots,
}

/// How places on a page are found; the text is known to parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A CSS selector in HTML, a JSONPath in anything else.
    Native(String),
    /// An XPath 1.0 expression, for HTML only.
    XPath(String),
}

/// Links worth following: `attribute` of every element that `selector` matches; of other nodes that XPath finds, the text.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowRule {
    /// Finds what carries the links in HTML.
    pub selector: Selector,
    /// The attribute that holds the URL, usually `href`.
    pub attribute: String,
    /// With any pattern, a URL must match one of them.
    pub allow: Patterns,
    /// A URL that matches one of them is left out.
    pub deny: Patterns,
    /// Which of the job's labels the links have, counted from 1; 0 is none.
    pub label: u16,
    /// 0 to 100; the higher the sooner.
    pub priority: u8,
    /// Most pages of one listing, the first included, if the links lead through one.
    pub max_pages: Option<u16>,
}

/// One kind of item: where it sits on a page and which fields it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExtractRule {
    /// Name of the item type; appears in each item as `_type`.
    pub name: String,
    /// With any, only pages with one of these labels, counted from 1.
    pub labels: Vec<u16>,
    /// With any pattern, only pages whose URL matches one of them.
    pub urls: Patterns,
    /// What the items are read from.
    pub source: Source,
    /// Finds what is around one item; `None` takes the whole page as one item.
    pub base_selector: Option<Selector>,
    /// The fields in the order in which they are written.
    pub fields: Vec<Field>,
    /// Names of the fields that tell items apart; items have no key if it is empty.
    pub key: Vec<String>,
    /// A JSON Schema (a document) that each item must satisfy.
    pub schema: Option<serde_json::Value>,
}

/// What items are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The elements of a page, selected by CSS or XPath.
    #[default]
    Html,
    /// The JSON that the page is; this and all below are selected by JSONPath.
    Json,
    /// A list of the objects in `application/ld+json` scripts.
    JsonLd,
    /// One object of properties such as `og:title`.
    OpenGraph,
    /// One object of named `meta` elements.
    Meta,
}

/// One field of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Key in the item.
    pub name: String,
    /// Finds the field below the item; `None` takes the item itself.
    pub selector: Option<Selector>,
    /// What is read from what matched.
    pub kind: FieldKind,
    /// Regular expression whose first group, or whole match, is kept of the text.
    pub pattern: Option<String>,
    /// What is done to the text, in this order.
    pub transforms: Vec<Transform>,
    /// An item without this field is an item error, not an item.
    pub required: bool,
    /// Value (a JSON document) when nothing matched.
    pub default: Option<serde_json::Value>,
}

/// What a field reads from the element it matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Text content, white space collapsed.
    Text,
    /// The value of an attribute.
    Attribute(String),
    /// Inner HTML.
    Html,
    /// The first number in the text (or in an attribute), as a JSON number.
    Number {
        /// Read from this attribute instead of the text.
        attribute: Option<String>,
    },
    /// An absolute URL, resolved against the page, from an attribute (default `href`, or `src`).
    Url {
        /// The attribute to read; `None` means `href`, else `src`.
        attribute: Option<String>,
    },
    /// A date or time in the form of RFC 3339.
    Date {
        /// The attribute to read; `None` means `datetime`, else `content`, else the text.
        attribute: Option<String>,
        /// How it is written, in the letters of strptime; `None` tries the usual ways.
        format: Option<String>,
    },
    /// A JSON value, written in the text or in an attribute.
    Json {
        /// Read from this attribute instead of the text.
        attribute: Option<String>,
        /// JSONPath of the part that is kept.
        path: Option<String>,
    },
    /// Every match instead of the first: a list of what `element` reads, or of objects if `fields` is not empty.
    List {
        /// What is read from each match when `fields` is empty.
        element: Box<FieldKind>,
        /// Fields of each element.
        fields: Vec<Field>,
    },
    /// An object made of further fields below the first match.
    Nested(Vec<Field>),
}

/// What is done to a value that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    /// No white space at the ends.
    Trim,
    /// One space for each run of white space.
    Collapse,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Every `find` becomes `with`.
    Replace {
        /// A text, not empty.
        find: String,
        /// What takes its place.
        with: String,
    },
    /// Every match of `find` becomes `with`.
    Regex {
        /// A regular expression, known to compile.
        find: String,
        /// What takes its place; `$1` is a group.
        with: String,
    },
    /// This text before it.
    Prefix(String),
    /// This text after it.
    Suffix(String),
    /// Into a list of the parts between this text, which is not empty.
    Split(String),
    /// Out of a list, with this text between.
    Join(String),
    /// A list without repetitions.
    Unique,
}
