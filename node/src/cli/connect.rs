//! How a command finds its ring: by the folder of a local one, by URL, certificate and token of any other, or by its name.

use super::client::{Client, Credentials};
use super::contexts::{ContextArgs, RingContext};
use super::failure::BadInput;
use super::folder::DataArgs;
use super::terms;
use crate::auth::Issuer;
use crate::identity::layout::RingDir;
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};
use url::Url;

/// Which ring, and as whom.
#[derive(Clone, Debug, Args)]
pub(super) struct ConnectArgs {
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// Gateway of a ring that is not in a local folder, such as https://ring.example:8443.
    #[arg(long, value_name = "URL", env = "SCRAPERING_GATEWAY", global = true, value_parser = terms::gateway_url)]
    gateway: Option<Url>,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
}

/// What to trust and what to show.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TrustArgs {
    /// File with the token to show [default: one is made with the key in the ring's folder].
    #[arg(long, value_name = "FILE", env = "SCRAPERING_TOKEN_FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Certificate of the ring's authority, PEM [default: ca.pem in the ring's folder].
    #[arg(long, value_name = "FILE", env = "SCRAPERING_CA_FILE", global = true)]
    ca: Option<PathBuf>,
}

impl ConnectArgs {
    /// A client of that ring; nothing is sent yet.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        if let Some(url) = &self.gateway {
            return self.trust.client_of_url(url, &self.data);
        }
        // A folder that is named goes before the current context; "--context" and a folder exclude each other.
        let context = if self.data.data.is_some() { None } else { self.context.chosen()? };
        match context {
            Some(context) => self.trust.client_of_context(&context),
            None => self.trust.client_of_folder(&self.data.existing()?),
        }
    }
}

impl TrustArgs {
    /// A client of the ring behind `url`; what is not given is taken from the folder of `data`.
    pub(super) fn client_of_url(&self, url: &Url, data: &DataArgs) -> anyhow::Result<Client> {
        let gateways = vec![url.clone()];
        if let (Some(_), Some(ca)) = (&self.token_file, &self.ca) {
            return Ok(Client::new(gateways, &read(ca)?, self.credentials(None)?)?);
        }
        let ring = data
            .existing()
            .context("a ring elsewhere needs --ca FILE and --token-file FILE, or a folder with its keys")?;
        let ca = self.ca.clone().unwrap_or_else(|| ring.ca());
        Ok(Client::new(gateways, &read(&ca)?, self.credentials(Some(&ring))?)?)
    }

    /// A client of the ring in a local folder, by any of its gateways.
    pub(super) fn client_of_folder(&self, ring: &RingDir) -> anyhow::Result<Client> {
        let urls = ring.nodes().iter().map(|node| Url::parse(&format!("https://{}", node.gateway_address)));
        let ca = self.ca.clone().unwrap_or_else(|| ring.ca());
        Ok(Client::new(urls.collect::<Result<_, _>>()?, &read(&ca)?, self.credentials(Some(ring))?)?)
    }

    /// A client of the ring of a context; an authority or a token that is given goes before its own.
    pub(super) fn client_of_context(&self, context: &RingContext) -> anyhow::Result<Client> {
        let ca = self.ca.as_deref().map_or_else(|| Ok(context.ca.clone().into_bytes()), read)?;
        let token = self.token_file.as_deref().map_or_else(|| Ok(context.token.clone()), token)?;
        Ok(Client::new(context.gateways.clone(), &ca, Credentials::Token(token))?)
    }

    fn credentials(&self, ring: Option<&RingDir>) -> anyhow::Result<Credentials> {
        match (&self.token_file, ring) {
            (Some(file), _) => Ok(Credentials::Token(token(file)?)),
            (None, Some(ring)) => Ok(Credentials::Issuer(issuer(ring)?)),
            (None, None) => Err(BadInput::one("give a token with --token-file FILE")),
        }
    }
}

/// The built-in issuer of the ring in a folder.
pub(super) fn issuer(ring: &RingDir) -> anyhow::Result<Issuer> {
    let key = ring.token_private_key()?;
    Issuer::new(&key, ring.ring_id()).context("jwt.key in the ring's folder cannot be used; restore it from a backup")
}

/// The token in a file.
pub(super) fn token(file: &Path) -> anyhow::Result<String> {
    let token = String::from_utf8(read(file)?).unwrap_or_default().trim().to_owned();
    if token.is_empty() || token.contains(char::is_whitespace) {
        let message = format!("{} holds no token; make one with: scrapering token create", file.display());
        return Err(BadInput::one(message));
    }
    Ok(token)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| BadInput::one(format!("{} cannot be read: {error}", path.display())))
}
