//! Certificates that somebody else issues: cert-manager writes them into a Secret of its own, and they are handed on to the nodes
//! from there.
//!
//! The nodes never read that Secret themselves, because an issuer changes its authority in one step and a ring cannot: a node that
//! knows the new authority would not be believed by one that does not. So a new authority, also that of a new source, takes the
//! same three steps as one of the operator's own: all trust both, then the new certificate is shown, then the old authority goes.

use super::{
    CA, Certificates, Data, Error, GENERATION, ISSUER, LEAF, LEAF_KEY, Leaf, Life, OLD_CA, Terms, Timestamp, pack, text,
};

/// When the last step was taken, seconds since 1970.
const SINCE: &str = "since";

/// What can be said of certificates that are issued elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// What the Secrets of the ring shall hold; `None` while nothing was ever issued.
    pub certificates: Option<Certificates>,
    /// What is waited for, in a sentence.
    pub lack: Option<String>,
}

/// What is issued.
struct Issued {
    certificate: String,
    key: String,
    authority: String,
}

/// What the operator has noted about authorities.
struct Noted {
    /// Whether the nodes have been told of the authority that is given now.
    is_told: bool,
    /// Other authorities that are still trusted.
    old: Option<String>,
    generation: i64,
    since: i64,
}

/// The certificates that the nodes of `ring` shall have now, given what was `issued`, and the Secrets of the ring itself. The same
/// input gives the same output as long as nothing is due.
///
/// # Errors
/// [`Error`].
pub fn due(
    ring: &str,
    names: &[String],
    issued: Option<&Data>,
    authority: Option<&Data>,
    leaf: Option<&Data>,
    terms: Terms,
    now: Timestamp,
) -> Result<Handed, Error> {
    let shown = leaf.and_then(|data| Leaf::read(data).ok());
    let Some(given) = issued.filter(|data| data.contains_key(LEAF)).map(Issued::read).transpose()? else {
        let lack =
            format!("cert-manager has not issued Certificate {ring}; kubectl describe certificate {ring} says why");
        let kept = leaf.zip(authority).zip(shown).map(|((leaf, authority), shown)| keep(authority, leaf, &shown));
        return Ok(Handed { certificates: kept.transpose()?, lack: Some(lack) });
    };
    let noted = Noted::read(authority, &given.authority, now);
    let leaf = given.leaf()?;
    let missing = names.iter().find(|name| !leaf.names.contains(*name));
    let lack =
        missing.map(|name| format!("Certificate {ring} does not name {name} yet; cert-manager has to issue it anew"));
    let certificates = step(&given, leaf, shown, noted, terms, now)?;
    Ok(Handed { certificates: Some(certificates), lack })
}

/// Goes on with what is shown: to show nothing at all would be worse.
fn keep(authority: &Data, leaf: &Data, shown: &Leaf) -> Result<Certificates, Error> {
    let generation = text(authority, GENERATION).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    Ok(Certificates {
        ca_until: Life::of(&shown.issuer)?.until()?,
        leaf_until: shown.life.until()?,
        generation,
        leaf: leaf.clone(),
        authority: authority.clone(),
    })
}

fn step(
    given: &Issued,
    leaf: Leaf,
    shown: Option<Leaf>,
    mut noted: Noted,
    terms: Terms,
    now: Timestamp,
) -> Result<Certificates, Error> {
    let has_settled = noted.is_told && now.as_second() > noted.since + terms.settle_s;
    let shown = match shown {
        None => leaf,
        Some(shown) if shown.issuer == given.authority => {
            noted.old.take_if(|_| has_settled);
            leaf
        }
        Some(shown) if !noted.is_told => {
            let others = noted.old.take().filter(|old| !old.contains(&shown.issuer)).unwrap_or_default();
            let (old, generation) = (Some(format!("{}{others}", shown.issuer)), noted.generation + 1);
            noted = Noted { is_told: true, old, generation, since: now.as_second() };
            shown
        }
        Some(shown) if !has_settled => shown,
        Some(_) => {
            noted.since = now.as_second();
            leaf
        }
    };
    Ok(Certificates {
        ca_until: Life::of(&given.authority)?.until()?,
        leaf_until: shown.life.until()?,
        generation: noted.generation,
        authority: noted.data(given),
        leaf: pack(vec![
            (CA, format!("{}{}", given.authority, noted.old.as_deref().unwrap_or_default())),
            (LEAF, shown.certificate),
            (LEAF_KEY, shown.key),
            (ISSUER, shown.issuer),
        ]),
    })
}

impl Issued {
    fn read(data: &Data) -> Result<Self, Error> {
        let authority = text(data, CA).unwrap_or_default();
        if authority.trim().is_empty() {
            return Err(Error::Anonymous);
        }
        Life::of(&authority).map_err(|_| Error::Unreadable(CA))?;
        let (certificate, key) = (text(data, LEAF)?, text(data, LEAF_KEY)?);
        // Bundles are made by writing one text after the other.
        let authority = format!("{}\n", authority.trim());
        Ok(Self { certificate, key, authority })
    }

    fn leaf(&self) -> Result<Leaf, Error> {
        Leaf::of(self.certificate.clone(), self.key.clone(), self.authority.clone())
    }
}

impl Noted {
    fn read(data: Option<&Data>, given: &str, now: Timestamp) -> Self {
        let number = |key| data.and_then(|data| text(data, key).ok()?.parse().ok());
        let is_told = data.is_some_and(|data| text(data, CA).is_ok_and(|told| told == given));
        Self {
            is_told,
            old: data.and_then(|data| text(data, OLD_CA).ok()),
            generation: number(GENERATION).unwrap_or(1),
            since: number(SINCE).filter(|_| is_told).unwrap_or(now.as_second()),
        }
    }

    fn data(&self, given: &Issued) -> Data {
        let mut entries = vec![
            (CA, given.authority.clone()),
            (GENERATION, self.generation.to_string()),
            (SINCE, self.since.to_string()),
        ];
        entries.extend(self.old.clone().map(|old| (OLD_CA, old)));
        pack(entries)
    }
}

#[cfg(test)]
mod tests;
