//! Rings that are known by a name: where they are, which authority they are trusted by, and the token to show.
//!
//! They stand in one file that only its owner may read, because it holds tokens.

use super::failure::BadInput;
use crate::storage::files::{self, Readers};
use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use url::Url;

/// The only format so far.
const FORMAT: u32 = 1;
/// The ring that is meant when no context is: the one in the user's data folder.
pub(super) const LOCAL: &str = "local";

/// `--context`.
#[derive(Clone, Debug, Args)]
pub(super) struct ContextArgs {
    /// Ring to speak to, by its name (see "scrapering context list") [default: the one that "context use" chose].
    #[arg(long, value_name = "NAME", env = "SCRAPERING_CONTEXT", global = true, conflicts_with_all = ["gateway", "data"])]
    pub(super) context: Option<String>,
}

impl ContextArgs {
    /// The context that is meant: the one that is named, else the chosen one, else none.
    pub(super) fn chosen(&self) -> anyhow::Result<Option<RingContext>> {
        match &self.context {
            Some(name) if name == LOCAL => Ok(None),
            Some(name) => Contexts::read(&file()?)?.named(name).cloned().map(Some),
            // Whoever has neither a configuration folder nor named a context has chosen none.
            None => file().map_or(Ok(None), |file| Ok(Contexts::read(&file)?.current().cloned())),
        }
    }
}

/// How a ring is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RingContext {
    /// Its gateways; any one serves.
    pub(super) gateways: Vec<Url>,
    /// The certificate of its authority, PEM; nobody else is trusted.
    pub(super) ca: String,
    /// The token that is shown.
    pub(super) token: String,
}

/// Every context, and which is the current one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Contexts {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    contexts: BTreeMap<String, RingContext>,
}

impl Default for Contexts {
    fn default() -> Self {
        Self { format: FORMAT, current: None, contexts: BTreeMap::new() }
    }
}

impl Contexts {
    /// The contexts in `file`; none if there is no such file.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        Ok(files::read_json(file, FORMAT)?.unwrap_or_default())
    }

    /// Writes them, for their owner's eyes only.
    pub(super) fn write(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            files::create_folder(folder)?;
        }
        files::write_json(file, self, Readers::Owner).context("the contexts could not be written")
    }

    /// Adds a context, which becomes the current one if it is the first; one of the same name stays as it is.
    pub(super) fn add(&mut self, name: String, ring: RingContext) -> anyhow::Result<()> {
        if name == LOCAL || self.contexts.contains_key(&name) {
            let message = format!("there is a context {name} already; choose another name, or delete it first");
            return Err(BadInput::one(message));
        }
        if self.contexts.is_empty() {
            self.current = Some(name.clone());
        }
        self.contexts.insert(name, ring);
        Ok(())
    }

    /// Makes a context the current one; [`LOCAL`] makes none so.
    pub(super) fn choose(&mut self, name: &str) -> anyhow::Result<()> {
        self.current = if name == LOCAL { None } else { self.named(name).map(|_| Some(name.to_owned()))? };
        Ok(())
    }

    /// Forgets a context.
    pub(super) fn delete(&mut self, name: &str) -> anyhow::Result<()> {
        self.named(name)?;
        self.contexts.remove(name);
        self.current.take_if(|current| current == name);
        Ok(())
    }

    /// Every context with its name, and whether it is the current one.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &RingContext, bool)> {
        self.contexts.iter().map(|(name, ring)| (name, ring, self.current.as_ref() == Some(name)))
    }

    /// Whether any is the current one.
    pub(super) fn has_current(&self) -> bool {
        self.current.is_some()
    }

    fn current(&self) -> Option<&RingContext> {
        self.contexts.get(self.current.as_ref()?)
    }

    fn named(&self, name: &str) -> anyhow::Result<&RingContext> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).chain([LOCAL]).collect();
            BadInput::one(format!("there is no context {name}; there are {}", known.join(", ")))
        })
    }
}

/// Where contexts are kept: `SCRAPERING_CONFIG`, or below the user's configuration folder.
pub(super) fn file() -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = variable("SCRAPERING_CONFIG") {
        return Ok(file);
    }
    // The XDG Base Directory Specification says to ignore relative paths.
    let folder = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let folder = folder.or_else(|| variable("HOME").map(|home| home.join(".config")));
    let folder = folder.ok_or_else(|| {
        BadInput::one("neither XDG_CONFIG_HOME nor HOME is set; name the file of your contexts in SCRAPERING_CONFIG")
    })?;
    Ok(folder.join("scrapering/contexts.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn ring(port: u16) -> RingContext {
        let gateways = vec![Url::parse(&format!("https://ring.example:{port}")).expect("URL")];
        RingContext { gateways, ca: "PEM".to_owned(), token: "a.b.c".to_owned() }
    }

    #[test]
    fn the_first_context_is_the_current_one_until_another_is_chosen_or_it_is_deleted() {
        let mut contexts = Contexts::default();
        contexts.add("prod".to_owned(), ring(1)).expect("added");
        contexts.add("test".to_owned(), ring(2)).expect("added");
        assert_eq!(contexts.current(), Some(&ring(1)));
        contexts.choose("test").expect("chosen");
        assert_eq!(contexts.current(), Some(&ring(2)));
        contexts.delete("test").expect("deleted");
        assert_eq!(contexts.current(), None);
        contexts.choose("prod").expect("chosen");
        contexts.choose(LOCAL).expect("none");
        assert!(!contexts.has_current());
    }

    #[test]
    fn a_name_that_is_taken_or_unknown_is_bad_input_that_says_what_there_is() {
        let mut contexts = Contexts::default();
        contexts.add("prod".to_owned(), ring(1)).expect("added");
        for taken in ["prod", LOCAL] {
            assert!(contexts.add(taken.to_owned(), ring(2)).expect_err("taken").to_string().contains("already"));
        }
        let error = contexts.choose("pord").expect_err("unknown").downcast::<BadInput>().expect("bad input");
        assert_eq!(error.to_string(), "there is no context pord; there are prod, local");
    }

    #[test]
    fn contexts_are_kept_for_their_owner_alone_and_a_foreign_file_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("scrapering/contexts.json");
        assert_eq!(Contexts::read(&file).expect("none"), Contexts::default());
        let mut contexts = Contexts::default();
        contexts.add("prod".to_owned(), ring(1)).expect("added");
        contexts.write(&file).expect("written");
        assert_eq!(Contexts::read(&file).expect("read"), contexts);
        assert_eq!(std::fs::metadata(&file).expect("file").permissions().mode() & 0o077, 0);
        std::fs::write(&file, "{\"format\": 2, \"contexts\": {}}").expect("written");
        assert!(Contexts::read(&file).is_err());
    }
}
